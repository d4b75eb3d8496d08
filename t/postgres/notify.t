# A notification that comes right behind another answer, in one piece with
# it, is as good as one that comes alone.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongPg;
use KongRows;
use KongTcp;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my $rows = rows_new($pg, upstream => echo_start());
my $wire = tcp_start(to => $pg->{port});
my $node = node_start(env => { $pg->env, KONG_PG_PORT => $wire->{port},
                              KONG_DB_UPDATE_FREQUENCY => 600 });

# when the node's connection last had a ping answered, by the server's clock
sub pinged
{
    return $pg->admin("SELECT coalesce(max(extract(epoch FROM state_change)),
        0) FROM pg_stat_activity WHERE application_name = 'kong'
        AND state = 'idle' AND query LIKE '%pg_is_in_recovery%'");
}

# the ping's answer does not leave the wire before the notification is there
sub together
{
    my ($n) = @_;

    my $before = pinged();

    $wire->say('gather kong_changes');
    wait_until(5, sub { pinged() != $before }) or return 9;

    $rows->route("n$n");
    my $begin = now();
    $node->wait_status("/n$n", 200, seconds => 5);

    return now() - $begin;
}

# the next ping, about a second later, would see the change in any case
my @took = sort { $a <=> $b } map { together($_) } 1 .. 5;

cmp_ok($took[2], '<', 0.4, sprintf('served after %.3f s (%.3f to %.3f)',
                                   @took[2, 0, -1]));
is($node->status->{database}{reachable}, 1, 'on the same connection');

finish();
