# Trouble between a node and its database, under constant requests and
# whatever the trouble: no request fails, every answer is of a committed
# state, the log has one line a change of state, and what was committed
# meanwhile is served within a second of the database's return.

use strict;
use warnings;

use KongNode;
use KongPg;
use KongTcp;
use KongTest;
use KongWatch;
use Test::More;

pg_skip();

my $pg = pg_new();
my $rows = KongWatch::states_new($pg);
my $wire = tcp_start(to => $pg->{port});
my $node = node_start(env => { $pg->env, KONG_PG_PORT => $wire->{port} },
                      allow => qr/worker process \d+ exited on signal 9/);
my @watch = map { watch_start($node->{proxy}) } 1, 2;
my $cuts = 0;

sub change { return $rows->sql("SELECT test.change('w')") }

# when all clients got this version; they may wait for `seconds`
sub served
{
    my ($version, $seconds) = @_;
    my @first = map { $_->first(qr/^\Q$version\E$/, $seconds) } @watch;

    return if grep { !defined } @first;
    return $first[0] > $first[1] ? $first[0] : $first[1];
}

sub within
{
    my ($name, $version, $from, $seconds) = @_;
    my $at = served($version, $seconds + 4);

    ok(defined $at, "$name: what changed meanwhile is served")
        or diag($node->logs);
    cmp_ok(($at || 1e12) - $from, '<', $seconds,
           sprintf('%s: after %.3f s', $name, ($at || 0) - $from));
}

sub reachable
{
    my ($is, $seconds) = @_;

    return wait_until($seconds, sub {
        my $s = $node->status or return 0;
        !!$s->{database}{reachable} == !!$is;
    });
}

sub lines
{
    my $log = slurp("$node->{prefix}/logs/controld.log");
    my @lines = $log =~ /out of reach|is read: it is/g;

    return scalar @lines;
}

# goes away, is changed where the node does not see it, and comes back
sub away
{
    my ($name, %o) = @_;
    my $lines = lines();
    my $begin = now();

    $o{go}->();
    ok(reachable(0, 8), "$name: /status says so");
    cmp_ok(now() - $begin, '<', 5,
           sprintf('%s: seen after %.1f s', $name, now() - $begin));
    nap($o{stay}) if $o{stay};

    my $version = $o{change} ? $o{change}->() : change();
    nap(0.5);
    isnt($watch[0]->last_version, $version, "$name: not served yet");

    my $from = $o{back}->();
    within($name, $version, defined $from ? $from : now(), 1);
    ok(reachable(1, 3), "$name: reachable");
    is(lines(), $lines + 2, "$name: two lines in the log")
        or diag($node->logs);
}

ok(served(change(), 5), 'it serves');


# --- connections are refused

away('refused',
     go => sub { $wire->say('refuse'); $wire->say('cut') },
     back => sub { my $t = now(); $wire->say('pass'); $t });


# --- a black hole: old connections and new ones, nothing comes back

away('black hole', stay => 3,
     go => sub { $wire->say('hang') },
     back => sub { my $t = now(); $wire->say('pass'); $t });


# --- the server hangs.  The change is sent as it wakes

{
    my $lines = lines();
    $pg->pause;
    ok(reachable(0, 5), 'SIGSTOP: /status says so');
    nap($ENV{KONG_TEST_LONG} ? 60 : 8);

    my $from = now();
    $pg->resume;
    within('SIGSTOP', change(), $from, 1);
    ok(reachable(1, 3), 'SIGSTOP: reachable');
    is(lines(), $lines + 2, 'SIGSTOP: two lines in the log');
}


# --- stopped; changed while only its own socket is open; started

away('stop',
     go => sub { $pg->stop },
     change => sub {
         $pg->{settings}{listen_addresses} = '';
         $pg->configure;
         $pg->start;
         my $version = change();
         $pg->stop;
         delete $pg->{settings}{listen_addresses};
         $pg->configure;
         return $version;
     },
     back => sub { $pg->start; now() });


# --- restarts, one after the other

for my $signal (qw(INT QUIT KILL)) {
    $pg->stop($signal);
    $pg->start;
    my $from = now();
    within("restart after $signal", change(), $from, 1);
}


# --- the one connection that listens dies without a word: a ping finds out

{
    $wire->say('freeze');
    my $from = now();
    within('silent drop', change(), $from, 4);
    $from = now();
    within('silent drop: afterwards', change(), $from, 0.5);
}


# --- cut in the middle of a large answer, again and again

$rows->sql("INSERT INTO routes (id, ws_id, name, service_id, paths, protocols,
    tags) SELECT gen_random_uuid(), r.ws_id, 'many' || i, r.service_id,
    ARRAY['/many/' || i], r.protocols, ARRAY['tag' || i]
    FROM routes r, generate_series(1, 3000) i WHERE r.name = 'w'");
is($node->wait_status('/many/3000', 200)->status, 200, 'a larger table');

{
    my $generation = $node->status->{configuration}{generation};

    $wire->say('trip 60000');
    $wire->say('cut');
    $rows->sql("BEGIN; UPDATE routes SET tags = '{x}' WHERE name LIKE 'many%';
                UPDATE routes SET paths = '{/moved}' WHERE name = 'many1';
                SELECT test.change('w'); COMMIT");
    nap(5);
    is($node->status->{configuration}{generation}, $generation,
       'cut: what came of it is not published');
    is($node->get('/moved')->status, 404, 'cut: and not served');

    my $from = now();
    $wire->say('pass');
    within('cut', KongWatch::current($pg), $from, 1);
    is($node->get('/moved')->status, 200, 'cut: all of it');
    is($node->get('/many/1')->status, 404, 'cut: at once');
}


# --- a database that has become read-only, for old connections and new ones

my @writes = (env => { PGOPTIONS => '-c default_transaction_read_only=off' });

$pg->admin('ALTER SYSTEM SET default_transaction_read_only = on');
$pg->admin('SELECT pg_reload_conf()');

for my $how ('read-only', 'read-only, a new connection') {
    my $from = now();
    my $version = $pg->query("SELECT test.change('w')", @writes);
    within($how, $version, $from, 1);
    ok(reachable(1, 1), "$how: reachable");
    $wire->say('cut');
}

ok(reachable(1, 3), 'read-only: read again');
$pg->admin('ALTER SYSTEM RESET default_transaction_read_only', @writes);
$pg->admin('SELECT pg_reload_conf()');


# --- daemons die amid changes at full speed, and the database with them:
# --- what was served is not taken back

{
    my $back = 0;

    for (1 .. 8) {
        my $writer = states_writer($pg, pause => 0);
        my $daemon = $node->controld;

        nap(0.4 + rand(0.2));
        kill('KILL', $daemon);
        $wire->say('refuse');
        $wire->say('cut');
        kill_pid($writer);
        wait_until(5, sub { !alive($daemon) });

        my ($was) = $node->get('/w')->header('X-Answer') =~ /(\d+)$/;
        my ($rc, $out, $err) = $node->reload;
        is($rc, 0, 'the daemon is replaced') or diag("$out$err");
        $cuts++;
        nap(0.3);

        my ($is) = $node->get('/w')->header('X-Answer') =~ /(\d+)$/;
        $back++ if $is < $was;

        $wire->say('pass');
        reachable(1, 5);
    }

    is($back, 0, 'a new daemon takes nothing back that was served');
    ok(served(change(), 5), 'changes flow');
}


# --- workers die while it is away: what was served last is served, though it
# --- is newer than the start

ok(served(change(), 5), 'served');
$wire->say('refuse');
$wire->say('cut');
ok(reachable(0, 4), 'away');

my $version = $watch[0]->last_version;

for my $worker ($node->worker_pids) {
    kill('KILL', $worker);
    $cuts++;
    ok(wait_until(5, sub {
        my @now = $node->worker_pids;
        @now == 2 && !grep { $_ == $worker } @now;
    }), 'a killed worker is replaced');
}

nap(0.5);
is($watch[$_]->last_version, $version, 'with the last state') for 0, 1;
is($node->get('/moved')->status, 200, 'all of it');

for my $n (0, 1) {
    $watch[$n]->is_good("client $n", cut => $cuts, requests => 1500,
                        history => KongWatch::history($pg));
}

# the node's own start, from that state
ok($node->stop, 'stopped');
my ($rc, $out, $err) = $node->start;
is($rc, 0, 'a cold start') or diag("$out$err");
my $a = $node->get('/w');
is($a->header('X-Answer'), $version, 'the last state');

@watch = (watch_start($node->{proxy})) x 2;
change();
my $last = change();
my $from = now();
$wire->say('pass');
within('cold start', $last, $from, 1);
$watch[0]->is_good('after the start', requests => 10,
                   history => KongWatch::history($pg));

finish();
