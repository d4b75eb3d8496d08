# Two servers with streaming replication: the primary is killed and the
# replica promoted; traffic never fails, changes flow again within seconds,
# and the old primary's return changes nothing.

use strict;
use warnings;

use KongEcho;
use KongLoad;
use KongNode;
use KongPg;
use KongRows;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my $rows = rows_new($pg, upstream => echo_start());
$rows->route('a');

my $replica = $pg->replica;
my @hosts = (KONG_PG_HOST => "127.0.0.1:$pg->{port},"
                             . "127.0.0.1:$replica->{port}");
my $node = node_start(env => { $pg->env, @hosts });

is($node->get('/a')->status, 200, 'it serves');
like($node->error_log, qr/it is a primary/, 'reads from the primary');

$rows->route('b');
$node->wait_status('/b', 200);
ok(wait_until(5, sub {
    $replica->query("SELECT count(*) FROM routes") == 2
}), 'replicated');

my $load = load_start("http://127.0.0.1:$node->{proxy}/a", seconds => 14,
                      connections => 4);

# power off
$pg->stop('KILL');

ok(wait_until(5, sub { $node->error_log =~ /it is a replica/ }),
   'the replica is read');
is($node->status->{database}{reachable}, 1, '/status: reachable');
is($node->status->{database}{role}, 'replica', '/status: the role');
is($node->status->{database}{host}, "127.0.0.1:$replica->{port}",
   '/status: the host');

$replica->promote;
my $begin = now();
$rows->{pg} = $replica;
$rows->route('c');
is($node->wait_status('/c', 200, seconds => 8)->status, 200,
   'a change on the new primary');
cmp_ok(now() - $begin, '<', 5, sprintf('%.1f s after the promotion',
                                       now() - $begin));
ok(wait_until(5, sub {
    my $s = $node->status->{database};
    $s->{role} eq 'primary' && $s->{timeline} == 2
}), '/status: the role and the timeline');
$rows->route('d');
$begin = now();
is($node->wait_status('/d', 200, seconds => 5)->status, 200, 'another one');
cmp_ok(now() - $begin, '<', 0.5, 'at once: it notifies');

# the old primary is back, and is written to
$pg->start;
my $old = bless({ %$rows, pg => $pg }, 'KongRows');
$old->route('old');
$old->sql("DELETE FROM routes WHERE name = 'a'");
nap(3);
is($node->get('/old')->status, 404, 'the old primary changes nothing');
is($node->get('/a')->status, 200, 'what it deleted is there');

# a node that has seen the new timeline refuses it even when it is alone
$replica->pause;
ok(wait_until(20, sub {
    ($node->status->{source}{message} || '') =~ /timeline/
}), '/status says why');
is($node->get('/old')->status, 404, 'nor when the new one is away');
is($node->status->{database}{reachable}, 0, '/status: out of reach');
is($node->status->{database}{host}, undef, '/status: no host is in use');
like(($node->kong('health', '-p', $node->{prefix}))[1],
     qr/^database\.+out of reach for [1-9]/m, 'kong health says since when');

my $r = load_wait($load);
is($r->{failed} + $r->{connect} + $r->{read} + $r->{timeout}, 0,
   'no request failed') or diag($r->{text});

my ($rc, $out, $err) = $node->reload;
is($rc, 0, 'a reload');
ok($node->stop, 'stopped');
($rc, $out, $err) = $node->start;
is($rc, 0, 'a restart') or diag($err);
nap(2);
is($node->get('/old')->status, 404, 'nor after a restart');
is($node->get('/d')->status, 200, 'what was served is served');

$replica->resume;
$rows->route('e');
is($node->wait_status('/e', 200, seconds => 5)->status, 200,
   'the new primary is back');

# a new node finds the right one of the two
my $fresh = node_start(env => { $pg->env, @hosts });
is($fresh->get('/old')->status, 404, 'a new node reads the new primary');
is($fresh->get('/e')->status, 200, 'and what it has');

finish();
