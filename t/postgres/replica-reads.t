# pg_ro_host: a replica for reads dies and returns, the primary dies, the
# replica is promoted, and all of them hang; and pg_timeout where a server
# hangs.

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
my %ro = (KONG_PG_RO_HOST => '127.0.0.1', KONG_PG_RO_PORT => $replica->{port},
          KONG_PG_TIMEOUT => 1500);
my $node = node_start(env => { $pg->env, %ro });

sub uses
{
    my ($server, $role, $what) = @_;
    my $host = "127.0.0.1:$server->{port}";

    ok(wait_until(15, sub {
        my $d = $node->status->{database};

        $d->{reachable} && $d->{host} eq $host && $d->{role} eq $role
    }), $what) or diag(json_encode($node->status->{database}));
}

sub live
{
    my ($name, $what) = @_;

    $rows->route($name);
    is($node->wait_status("/$name", 200, seconds => 8)->status, 200, $what);
}

is($node->get('/a')->status, 200, 'it serves');
uses($pg, 'primary', 'the primary is read: it notifies');

my $load = load_start("http://127.0.0.1:$node->{proxy}/a", seconds => 14,
                      connections => 4);

# the replica is of no matter while there is a primary
$replica->stop('KILL');
live('b', 'a change, the replica is dead');
uses($pg, 'primary', 'the primary is still read');
$replica->start;
ok(wait_until(10, sub {
    $replica->query('SELECT count(*) FROM routes') == 2
}), 'the replica is back, and has it');
$replica->pause;
live('c', 'a change, the replica hangs');
$replica->resume;
ok(wait_until(10, sub {
    $replica->query('SELECT count(*) FROM routes') == 3
}), 'it has that one, too');

# the primary hangs: the replica is read
$pg->pause;
uses($replica, 'replica', 'the primary hangs: the replica is read');
my $begin = now();
my $answer = $node->admin('/services', method => 'POST', timeout => 20,
    headers => { 'Content-Type' => 'application/json' },
    body => json_encode({ name => 'n', host => 'h' }));
is($answer->status, 503, 'a write has an answer');
cmp_ok(now() - $begin, '<', 6, 'after pg_timeout, or so');
is($node->get('/a')->status, 200, 'traffic goes on');
$pg->resume;
uses($pg, 'primary', 'and the primary again');
live('d', 'which tells of changes');

# the primary dies, the replica takes over
ok(wait_until(10, sub {
    $replica->query('SELECT count(*) FROM routes') == 4
}), 'the replica follows');
$pg->stop('KILL');
uses($replica, 'replica', 'the primary is dead: the replica is read');
$replica->promote;
$rows->{pg} = $replica;
uses($replica, 'primary', 'the replica is promoted');
live('e', 'a change on it is live');

my $r = load_wait($load);
is($r->{failed} + $r->{connect} + $r->{read} + $r->{timeout}, 0,
   'no request failed') or diag($r->{text});

# the old primary is back, and alone
$pg->start;
my $old = bless({ %$rows, pg => $pg }, 'KongRows');
$old->route('old');
$replica->pause;
ok(wait_until(15, sub {
    ($node->status->{source}{message} || '') =~ /timeline/
}), 'the old primary is refused');
is($node->get('/old')->status, 404, 'and changes nothing');
is($node->get('/e')->status, 200, 'what was served is served');

# nobody answers: a start has what was served, and in time
$pg->pause;
ok($node->stop, 'stopped');
$begin = now();
my ($rc, $out, $err) = $node->start;
is($rc, 0, 'a start') or diag($err);
cmp_ok(now() - $begin, '<', 10, 'in time');
like($err, qr/the last configuration is served.*timeout/, 'says why');
is($node->get('/e')->status, 200, 'it serves');

my $fresh = node_new(env => { $pg->env, %ro });
$begin = now();
($rc, $out, $err) = $fresh->start;
is($rc, 1, 'without a snapshot there is no start');
like($err, qr/^Error: \[PostgreSQL error\] .*timeout/, 'in Kong\'s words');
cmp_ok(now() - $begin, '<', 6, 'after pg_timeout');

$pg->resume;
$replica->resume;
$rows->route('f');
is($node->wait_status('/f', 200, seconds => 15)->status, 200,
   'they answer again: the new primary is read');

finish();
