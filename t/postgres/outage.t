# The database in trouble, under constant load: nobody but the operators
# notices, and what changed meanwhile is live within a second of its return.

use strict;
use warnings;

use IO::Socket::INET;
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

my $node = node_start(env => { $pg->env },
    allow => qr/worker process \d+ exited on signal 9/);

is($node->get('/a')->status, 200, 'it serves');

sub reachable
{
    my ($is, $seconds) = @_;

    return wait_until($seconds, sub {
        my $d = $node->status->{database}{reachable};
        !!$d == !!$is;
    });
}

sub state_lines
{
    return scalar(() = slurp("$node->{prefix}/logs/controld.log")
                       =~ /out of reach/g);
}

# under load: what happens, what is done meanwhile, how it ends
sub outage
{
    my ($name, $seconds, $do) = @_;
    my $load = load_start("http://127.0.0.1:$node->{proxy}/a",
                          seconds => $seconds, connections => 4);

    $do->();

    my $r = load_wait($load);
    my $bad = $r->{failed} + $r->{connect} + $r->{read} + $r->{write}
              + $r->{timeout};

    cmp_ok($r->{requests}, '>', 100, "$name: requests");
    is($bad, 0, "$name: none failed") or diag($r->{text});
}

my $changed = 0;

# a row written by the server's own means while it is away from the node
sub live
{
    my ($name, $since) = @_;
    my $path = '/c' . $changed;

    my $a = $node->wait_status($path, 200, seconds => 5);
    my $took = now() - $since;
    is($a->status, 200, "$name: what changed meanwhile is there");
    cmp_ok($took, '<', 1.5, sprintf('%s: %.2f s after it came back', $name,
                                    $took));
}


# --- stopped, and started again

outage('stop', 6, sub {
    my $lines = state_lines();

    $pg->stop;
    ok(reachable(0, 4), 'stop: /status says so');
    is($node->admin('/status')->status, 200, 'stop: with 200');
    like($node->status->{source}{message}, qr/^127\.0\.0\.1:\d+: \w/,
         'stop: and why');
    my (undef, $out, $err) = $node->kong('health', '-p', $node->{prefix});
    like("$out$err", qr/database/, 'stop: kong health tells it');
    is(state_lines(), $lines + 1, 'stop: one line in the log');

    $pg->start;
    my $back = now();
    $changed++;
    $rows->route("c$changed");
    live('stop', $back);
    ok(reachable(1, 3), 'stop: reachable');
});

# --- killed hard, restarted at once

outage('crash', 5, sub {
    $pg->stop('QUIT');
    $pg->start;
    my $back = now();
    $changed++;
    $rows->route("c$changed");
    live('crash', $back);
});


# --- silent: the kernel accepts, nobody answers

outage('SIGSTOP', 12, sub {
    $pg->pause;
    my $begin = now();
    ok(reachable(0, 6), 'SIGSTOP: /status says so');
    cmp_ok(now() - $begin, '<', 5, sprintf('SIGSTOP: after %.1f s',
                                           now() - $begin));
    nap(1);
    $pg->resume;
    my $back = now();
    $changed++;
    $rows->route("c$changed");
    live('SIGSTOP', $back);
});


# --- connections cut by the server, one of them in the middle of a load

outage('cut', 5, sub {
    for my $n (1 .. 10) {
        $pg->admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                   . "WHERE application_name = 'kong'");
        $changed++;
        $rows->route("c$changed");
        nap(0.02);
    }

    live('cut', now());
});

is($pg->admin("SELECT count(*) FROM pg_stat_activity "
              . "WHERE application_name = 'kong'"), 1,
   'one connection a node');


# --- changes that ordinary triggers do not see

$pg->query("SET session_replication_role = replica; "
           . "UPDATE routes SET paths = '{/replicated}' WHERE name = 'c1'",
           user => 'postgres');
is($node->wait_status('/replicated', 200)->status, 200,
   'a replicated write');

$rows->sql('ALTER TABLE routes DISABLE TRIGGER USER; '
           . "UPDATE routes SET paths = '{/restored}' WHERE name = 'c1'; "
           . 'ALTER TABLE routes ENABLE TRIGGER USER');
is($node->wait_status('/restored', 200)->status, 200,
   'a write past the triggers, as a restore does it');

$rows->sql('ALTER TABLE routes DISABLE TRIGGER USER');
$rows->sql("UPDATE routes SET paths = '{/off}' WHERE name = 'c1'");
is($node->wait_status('/off', 200)->status, 200, 'without triggers');
$rows->sql('ALTER TABLE routes ENABLE TRIGGER USER');
$rows->sql("UPDATE routes SET paths = '{/on}' WHERE name = 'c1'");
is($node->wait_status('/on', 200)->status, 200, 'and with them again');


# --- refused: the role may not log in

outage('refused', 4, sub {
    $pg->admin('ALTER ROLE kong NOLOGIN');
    $pg->admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
               . "WHERE application_name = 'kong'");
    ok(reachable(0, 3), 'refused: /status says so');
    $pg->admin('ALTER ROLE kong LOGIN');
    my $back = now();
    $changed++;
    $rows->route("c$changed");
    live('refused', $back);
});


# --- a database that is read-only, or empty, or gone

outage('read-only', 3, sub {
    $pg->admin('ALTER DATABASE kong SET default_transaction_read_only = on');
    $pg->admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
               . "WHERE application_name = 'kong'");
    ok(reachable(1, 3), 'read-only: it is read all the same');
    $pg->admin('ALTER DATABASE kong RESET default_transaction_read_only');
    $changed++;
    $rows->route("c$changed");
    live('read-only', now());
});

outage('renamed', 4, sub {
    $rows->sql('ALTER TABLE routes RENAME TO gone; '
               . 'ALTER TABLE services RENAME TO gone_too');
    $pg->admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
               . "WHERE application_name = 'kong'");
    ok(wait_until(8, sub {
        ($node->status->{source}{message} || '') =~ /bootstrapping|exist/
    }), 'renamed: /status says so') or diag(explain($node->status));
    is($node->get('/a')->status, 200, 'renamed: what is served stays');
    $rows->sql('ALTER TABLE gone RENAME TO routes; '
               . 'ALTER TABLE gone_too RENAME TO services');
    ok(wait_until(8, sub { !defined $node->status->{source}{message} }),
       'renamed: repaired') or diag(explain($node->status));
});


# --- a start, a restart and a reload while it is away

$pg->stop;

my $daemon = $node->controld;
my ($worker) = $node->worker_pids;
kill('KILL', $daemon, $worker);
wait_until(5, sub { !alive($daemon) && !alive($worker) });
is($node->get('/a')->status, 200, 'away: daemon and worker killed');

my ($rc, $out, $err) = $node->reload;
is($rc, 0, 'away: reload') or diag($err);
is($node->get('/a')->status, 200, 'away: it serves');

ok($node->stop, 'away: stopped');
($rc, $out, $err) = $node->start;
is($rc, 0, 'away: a cold start') or diag($err);
is($node->get('/a')->status, 200, 'away: from the last configuration');
is($node->status->{database}{reachable}, 0, 'away: /status says so');

my $new = node_new(env => { $pg->env });
($rc, $out, $err) = $new->start;
is($rc, 1, 'a node without a configuration does not start');
like($err, qr/^Error:\ \[PostgreSQL\ error\]\ failed\ to\ retrieve\ PostgreSQL
              \ server_version_num:\ connection\ refused/x, 'Kong\'s words');

$pg->start;
my $back = now();
$changed++;
$rows->route("c$changed");
live('cold start', $back);

finish();
