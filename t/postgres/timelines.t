# Fail-overs of a streaming pair while it is written to without a pause: a
# node serves committed states only and in their order, goes on within
# seconds of a promotion, and takes nothing from a server that was left
# behind: an old primary that is still written to, a replica that lags.

use strict;
use warnings;

use KongCluster;
use KongNode;
use KongPg;
use KongTest;
use KongWatch;
use Test::More;

pg_skip();

my $cluster = cluster_start(plain => 1);
my ($one, $two) = $cluster->servers;

KongWatch::states_new($one);

my $node = node_start(env => { $cluster->env });
my @watch = map { watch_start($node->{proxy}) } 1, 2;
my $writer = states_writer([ $one, $two ]);

# 1 when the node serves what a server holds
sub follows
{
    my ($pg, $seconds) = @_;

    return wait_until($seconds, sub {
        my $version = KongWatch::current($pg);
        nap(0.2);
        my ($n) = $version =~ /\.(\d+)$/;
        my ($timeline, $is) = $watch[0]->last_version =~ /^w(\d)\.(\d+)$/;
        $timeline && $version =~ /^w$timeline\./ && $is >= $n;
    });
}

sub within
{
    my ($name, $regex, $from, $seconds) = @_;
    my $first = $watch[0]->first($regex, $seconds + 5);

    ok(defined $first, "$name: changes flow again")
        or diag($node->logs, explain($node->status));
    cmp_ok(($first || 1e12) - $from, '<', $seconds,
           sprintf('%s: %.2f s after the promotion', $name,
                   ($first || 0) - $from));
}

ok($watch[0]->first(qr/^w1\.[1-9]\d/, 10), 'changes flow');


# --- the primary dies

my $old = $cluster->kill_primary;
is($old, 'pg1', 'the primary is killed');
nap(1.5);
is($cluster->promote, 'pg2', 'the replica is promoted');
within('fail-over', qr/^w2\./, now(), 5);
ok(follows($two, 5), 'the node follows the new primary');


# --- the old one returns as a primary, and somebody writes to it

$cluster->return_old;
is($one->query('SELECT pg_is_in_recovery()'), 'f', 'two primaries');

my $lost = states_writer($one, tag => 'old', pause => 0.01);
nap(4);
cmp_ok($one->query("SELECT count(*) FROM test.history
                    WHERE version LIKE 'old1.%'"), '>', 20,
       'the old primary is written to');
ok(!defined $watch[0]->first(qr/^old/), 'and changes nothing');
ok(follows($two, 3), 'the node follows the new primary');

# a new daemon reads the same one of the two
kill('KILL', $node->controld);
wait_until(5, sub { !alive($node->controld) });
my ($rc, undef, $err) = $node->reload;
is($rc, 0, 'the daemon is replaced') or diag($err);
ok(follows($two, 5), 'a new daemon, too');

my $history = KongWatch::history($one, $two);
kill_pid($lost);
is($cluster->follow_new, 'pg1', 'the old one becomes a replica');
ok(follows($two, 3), 'the node follows the primary');


# --- a fail-over that loses commits: the replica got no more of them

$one->admin("ALTER SYSTEM SET primary_conninfo = ''");
$one->admin('SELECT pg_reload_conf()');
wait_until(5, sub {
    $one->admin('SELECT count(*) FROM pg_stat_wal_receiver') == 0
});
my $has = KongWatch::current($one);
ok(wait_until(5, sub {
    ($watch[0]->last_version =~ /(\d+)$/)[0] > ($has =~ /(\d+)$/)[0] + 20
}), 'what the replica lacks is served');

is($cluster->kill_primary, 'pg2', 'the primary is killed');
wait_until(5, sub { !$node->status->{database}{reachable} });
nap(4);
my @numbers = sort { $a <=> $b }
              map { $_->[2] =~ /^w2\.(\d+)$/ } $watch[0]->seen;
is($watch[0]->last_version, "w2.$numbers[-1]",
   'the lagging replica is not read');
like($node->status->{source}{message} || '', qr/lacks/, '/status says why');

is($cluster->promote, 'pg1', 'it is promoted all the same');
within('lossy fail-over', qr/^w3\./, now(), 5);
ok(follows($one, 5), 'what was lost is given up');


# --- the one that has more, on the timeline that was left

$cluster->return_old;
$lost = states_writer($two, tag => 'left', pause => 0.01);
nap(4);
ok(!defined $watch[0]->first(qr/^left/), 'a diverged primary changes nothing');
ok(follows($one, 3), 'the node follows the new primary');


# --- all in all

kill_pid($writer);
kill_pid($lost);
%$history = (%$history, %{ KongWatch::history($one, $two) });

for my $n (0, 1) {
    $watch[$n]->is_good("client $n", history => $history, back => 1, cut => 1,
                        requests => 1000);
}

is(scalar(grep { $_->[2] =~ /^(?:old|left)/ } map { $_->seen } @watch), 0,
   'nothing of a timeline that was left');

$cluster->is_stopped;
finish();
