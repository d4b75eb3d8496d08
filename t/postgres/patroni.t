# Patroni's fail-over, under constant changes and requests: the primary's
# machine dies, the replica takes over, the dead one returns; then a
# switchover in good order.

use strict;
use warnings;

use KongCluster;
use KongNode;
use KongPg;
use KongTest;
use KongWatch;
use Test::More;

pg_skip();

for my $program (qw(/usr/bin/patroni /usr/bin/etcd)) {
    plan_skip("no $program here") if !-x $program;
}

my $cluster = cluster_start();
my ($one, $two) = $cluster->servers;

KongWatch::states_new($one);

my $node = node_start(env => { $cluster->env });
my @watch = map { watch_start($node->{proxy}) } 1, 2;
my $writer = states_writer([ $one, $two ]);

sub within
{
    my ($name, $timeline, $from) = @_;
    my $first = $watch[0]->first(qr/^w$timeline\./, 10);

    ok(defined $first, "$name: changes flow again")
        or diag($node->logs, explain($node->status));
    cmp_ok(($first || 1e12) - $from, '<', 5,
           sprintf('%s: %.2f s after the promotion', $name,
                   ($first || 0) - $from));
}

ok($watch[0]->first(qr/^w1\.[1-9]\d/, 10), 'changes flow');

is($cluster->kill_primary, 'pg1', 'the primary is killed');
my $promoted = $cluster->promoted('pg2', 40);
ok($promoted, 'Patroni promotes the other') or diag($cluster->log);
within('fail-over', 2, $promoted);

# the returning server is in the way of nobody
my $at = scalar $watch[0]->seen;
$cluster->return_old;
ok(wait_until(40, sub { $cluster->role('pg1') eq 'replica' }),
   'the old primary returns as a replica') or diag($cluster->log);
ok(wait_until(5, sub { $watch[0]->seen > $at + 20 }),
   'changes flow meanwhile');

like($cluster->switchover, qr/Successfully/, 'a switchover')
    or diag($cluster->log);
$promoted = $cluster->promoted('pg1', 40);
ok($promoted, 'the first is the primary again');
within('switchover', 3, $promoted);
nap(2);

kill_pid($writer);
my $version = KongWatch::current($one);
ok(wait_until(2, sub { $watch[0]->last_version eq $version }),
   'the last change is served');

my $history = KongWatch::history($one);

for my $n (0, 1) {
    $watch[$n]->is_good("client $n", history => $history, requests => 1000);
}

is($node->status->{database}{reachable}, 1, '/status: reachable');

$cluster->is_stopped;
finish();
