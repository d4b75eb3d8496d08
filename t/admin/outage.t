# The Admin API with its database slow, hung or gone: clear answers in time,
# and nothing else is held up.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongPg;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

my $echo = echo_start();
my $node = node_start(env => { $pg->env, KONG_PG_TIMEOUT => 2000 });

sub call
{
    my ($method, $path, $body) = @_;
    my $at = now();
    my $r = $node->admin($path, method => $method, timeout => 20,
        headers => { 'Content-Type' => 'application/json' },
        defined $body ? (body => json_encode($body)) : ());

    return ($r->status, now() - $at, $r);
}

call('POST', '/services?wait=1',
     { name => 's', url => "http://127.0.0.1:$echo" });
call('POST', '/services/s/routes?wait=1', { name => 'r', paths => [ '/' ] });
is($node->get('/')->status, 200, 'it serves');

for my $way (qw(hung gone)) {
    $way eq 'hung' ? $pg->pause : $pg->stop('QUIT');

    for my $o ([ 'GET', '/services' ], [ 'GET', '/services/s' ],
               [ 'POST', '/services', { host => 'h' } ],
               [ 'PATCH', '/services/s', { retries => 1 } ],
               [ 'DELETE', '/routes/x' ], [ 'GET', '/tags' ])
    {
        my ($status, $seconds, $r) = call(@$o);

        like($status, qr/^50[03]$/, "$way: $o->[0] $o->[1]");
        cmp_ok($seconds, '<', 3.0, 'in time');
        ok(defined eval { $r->json->{message} }, 'with a message');
    }

    # many that wait, and those who need no database
    my @pids = map { my $n = $_; spawn(sub {
        call('GET', '/services');
        POSIX::_exit(0);
    }) } 1 .. 40;

    nap(0.2);
    my ($status, $seconds) = call('GET', '/status');
    is($status, 200, "$way: /status");
    cmp_ok($seconds, '<', 0.3, 'at once');

    ($status, $seconds) = call('GET', '/');
    is($status, 200, "$way: /");
    cmp_ok($seconds, '<', 0.3, 'at once');
    is($node->get('/')->status, 200, "$way: traffic");

    for my $pid (@pids) {
        waitpid($pid, 0);
        kill_pid($pid);
    }

    $way eq 'hung' ? $pg->resume : $pg->start;

    ok(wait_until(10, sub { (call('GET', '/services/s'))[0] == 200 }),
       "$way: it is back");
    is((call('PATCH', '/services/s', { retries => 2 }))[0], 200,
       'writes as well');
}

# tables that change under statements that the server keeps prepared

call('PUT', '/consumers/p', { custom_id => 'x' }) for 1 .. 40;
my @many = map { spawn(sub {
    call('GET', '/consumers/p') for 1 .. 10;
    POSIX::_exit(0);
}) } 1 .. 4;

for my $pid (@many) {
    waitpid($pid, 0);
    kill_pid($pid);
}

for my $type ('varchar(200)', 'text') {
    $pg->query("ALTER TABLE consumers ALTER COLUMN custom_id TYPE $type");

    my @bad = grep { $_ != 200 }
        map { ((call('GET', '/consumers/p'))[0],
               (call('PATCH', '/consumers/p', { custom_id => "y$_" }))[0]) }
        1 .. 20;
    is("@bad", '', "a column became $type: nobody notices");
}

# a lock that another holds
my $locker = spawn(sub {
    $pg->psql('BEGIN; LOCK TABLE consumers; SELECT pg_sleep(5)');
    POSIX::_exit(0);
});
nap(0.5);

my ($status, $seconds) = call('POST', '/consumers', { username => 'u' });
is($status, 503, 'a locked table');
cmp_ok($seconds, '<', 3.0, 'in time');
is((call('GET', '/services/s'))[0], 200, 'other tables answer');

waitpid($locker, 0);
kill_pid($locker);

# a stop while requests wait
$pg->pause;
my @pids = map { spawn(sub { call('GET', '/services'); POSIX::_exit(0) }) }
           1 .. 4;
nap(0.3);
my $at = now();
ok($node->stop, 'it stops while the database hangs');
cmp_ok(now() - $at, '<', 8, 'soon');
$pg->resume;

for my $pid (@pids) {
    waitpid($pid, 0);
    kill_pid($pid);
}

finish();
