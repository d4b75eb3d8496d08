# Kong's database as the source: what is committed is served at once, by
# whomever it is written; what cannot run is set aside, and guards close the
# routes in their scope.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongPg;
use KongRows;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my $rows = rows_new($pg, upstream => echo_start());
$rows->route('a');

my $node = node_start(env => { $pg->env });

is($node->get('/a')->status, 200, 'a row is served');

my $status = $node->status;
is($status->{database}{reachable}, 1, '/status: reachable');
is($status->{database}{host}, "127.0.0.1:$pg->{port}", '/status: the host');
is($status->{database}{role}, 'primary', '/status: its role');
is($status->{database}{timeline}, 1, '/status: the timeline');
is($status->{database}{version}, $pg->query('SELECT max(version)
    FROM controld_commits'), '/status: the version');
cmp_ok(abs($status->{database}{since} - time()), '<', 30, '/status: since');
is($status->{database}{set_aside}, 0, '/status: nothing is set aside');
is($status->{source}{kind}, 'postgres', '/status: the source');
is($status->{source}{ok}, 1, '/status: good');


# --- a commit

my @took;

for my $n (1 .. 20) {
    $rows->route("n$n");
    my $begin = now();
    $node->wait_status("/n$n", 200, seconds => 5);
    push @took, (now() - $begin) * 1000;
}

@took = sort { $a <=> $b } @took;
cmp_ok($took[10], '<', 50, sprintf('live %.1f ms after psql ended (median), '
                                   . '%.1f at most', $took[10], $took[-1]));

$rows->sql("UPDATE routes SET paths = '{/moved}' WHERE name = 'n1'");
is($node->wait_status('/moved', 200)->status, 200, 'an update without '
   . 'updated_at');
is($node->wait_status('/n1', 404)->status, 404, 'the path before is gone');

$rows->sql("DELETE FROM routes WHERE name = 'n1'");
is($node->wait_status('/moved', 404)->status, 404, 'a delete');

# one transaction is one configuration
$rows->sql('BEGIN; '
    . "UPDATE routes SET paths = '{/t}' WHERE name = 'n2'; "
    . "UPDATE services SET path = '/new' WHERE name = 's'; COMMIT");
is($node->wait_status('/t', 200)->up_uri, '/new', 'both or nothing');

$rows->sql("UPDATE services SET enabled = false WHERE name = 's'");
is($node->wait_status('/a', 404)->status, 404, 'a disabled service');
$rows->sql("UPDATE services SET enabled = true, path = '' WHERE name = 's'");
is($node->wait_status('/a', 200)->status, 200, 'and enabled; an empty string '
   . 'is unset');

$rows->sql('BEGIN; '
    . "UPDATE routes SET paths = '{/rolled}' WHERE name = 'n2'; ROLLBACK");
is($node->get('/rolled')->status, 404, 'what is rolled back is not there');


# --- what is set aside

$rows->route('guarded');
$rows->route('watched');
$rows->route('open');
$rows->plugin('third', 'third-party', on => ['routes', 'guarded']);
my $a = $node->wait_status('/guarded', 503);
is($a->status, 503, 'an unknown plugin closes its route');
like($a->body, qr/third-party/, 'and is named');
is($node->wait_status('/open', 200)->status, 200, 'no other');
like($node->status->{source}{message}, qr/set aside: plugin 'third-party'/,
     '/status tells it');
is($node->status->{database}{set_aside}, 1, '/status counts it');
my (undef, $health) = $node->kong('health', '-p', $node->{prefix});
like($health, qr/^database\.+primary 127\.0\.0\.1:$pg->{port} for \d+ s, /m,
     'kong health: the server');
like($health, qr/, what is served was published \d+ s ago\nset aside\.+1$/m,
     'kong health: the configuration');

$rows->sql("DELETE FROM plugins WHERE name = 'third-party'");
is($node->wait_status('/guarded', 200)->status, 200, 'gone: open again');
ok(wait_until(5, sub { !defined $node->status->{source}{message} }),
   '/status is clean');

$rows->plugin('bad', 'key-auth', on => ['routes', 'guarded'],
              config => '{"key_names": 7}');
is($node->wait_status('/guarded', 503)->status, 503,
   'one that does not validate');
$rows->sql("UPDATE plugins SET config = '{\"key_names\": [\"k\"], "
           . "\"what\": 1, \"hide_credentials\": null}' "
           . "WHERE name = 'key-auth'");
is($node->wait_status('/guarded', 401)->status, 401,
   'repaired: unknown members and nulls are no fault');
$rows->sql('UPDATE plugins SET enabled = false');
is($node->wait_status('/guarded', 200)->status, 200, 'a disabled one');
$rows->sql('DELETE FROM plugins');

# a plugin for all, and one route's own that can run
$rows->plugin('all', 'request-termination', config => '{"status_code": 1}');
is($node->wait_status('/open', 503)->status, 503, 'global: all are closed');
$rows->plugin('own', 'request-termination', on => ['routes', 'guarded'],
              config => '{"status_code": 418}');
is($node->wait_status('/guarded', 418)->status, 418,
   'the more specific one is the one that counts');
is($node->get('/open')->status, 503, 'the others stay closed');
$rows->sql('DELETE FROM plugins');
$node->wait_status('/open', 200);

# routes and services that cannot be compiled are left out
$rows->route('broken', columns => { headers => "'{\"x\": [\"~*(\"]}'" });
ok(wait_until(5, sub {
    ($node->status->{source}{message} || '') =~ /route 'broken'/
}), 'a route is reported');
is($node->get('/broken', headers => { x => 'y' })->status, 404,
   'and left out');
is($node->get('/open')->status, 200, 'the others are served');
$rows->route('after');
is($node->wait_status('/after', 200)->status, 200, 'later ones, too');
$rows->sql("DELETE FROM routes WHERE name = 'broken'");


# --- credentials

$rows->insert('consumers', 'bob', username => "'bob'");
$rows->insert('keyauth_credentials', 'k', key => "'secret'",
              consumer_id => "'" . uuid_of('consumers bob') . "'");
$rows->insert('keyauth_credentials', 'old', key => "'expired'",
              consumer_id => "'" . uuid_of('consumers bob') . "'",
              ttl => "now() - interval '1 second'");
$rows->plugin('auth', 'key-auth', on => ['services', 's'],
              config => '{"key_names": ["apikey"]}');
is($node->wait_status('/a', 401)->status, 401, 'a guard');
is($node->get('/a', headers => { apikey => 'secret' })->status, 200,
   'a credential');
is($node->get('/a', headers => { apikey => 'expired' })->status, 401,
   'an expired one');
$rows->sql("DELETE FROM consumers WHERE username = 'bob'");
ok(wait_until(5, sub {
    $node->get('/a', headers => { apikey => 'secret' })->status == 401
}), 'a cascade is seen');
$rows->sql('DELETE FROM plugins');


# --- restarts, and what is the same

$node->wait_status('/a', 200);
my $hash = $node->status->{configuration}{hash};
my $generation = $node->status->{configuration}{generation};

my $daemon = $node->controld;
kill('KILL', $daemon);
wait_until(5, sub { !alive($daemon) });
$rows->route('meanwhile');
$rows->sql("DELETE FROM routes WHERE name = 'meanwhile'");
my ($rc, $out, $err) = $node->reload;
is($rc, 0, 'a killed daemon is replaced');
$rows->route('again');
is($node->wait_status('/again', 200)->status, 200, 'it goes on');
$rows->sql("DELETE FROM routes WHERE name = 'again'");
$node->wait_status('/again', 404);
is($node->status->{configuration}{hash}, $hash,
   'the same rows have the same hash');

$rows->plugin('third', 'third-party', on => ['routes', 'open']);
$node->wait_status('/open', 503);
$daemon = $node->controld;
kill('KILL', $daemon);
wait_until(5, sub { !alive($daemon) });
is(($node->reload)[0], 0, 'killed while something is set aside');
ok(wait_until(5, sub {
    ($node->status->{source}{message} || '') =~ /plugin 'third-party'/
}), 'the next one tells it, too') or diag($node->logs);
$rows->sql("DELETE FROM plugins WHERE name = 'third-party'");
$node->wait_status('/open', 200);

my $twin = node_start(env => { $pg->env });
is($twin->status->{configuration}{hash}, $hash, 'on every node');
ok($twin->stop, 'stopped');
($rc, $out, $err) = $twin->start;
is("$rc$err", '0', 'started again, silently');
is($twin->status->{configuration}{generation}, 1,
   'what has not changed is not published again');


# --- a schema of another name, and none at all

($rc, $out, $err) = node_new(env => { $pg->env,
    KONG_PG_SCHEMA => 'nothing' })->start;
is($rc, 1, 'an empty schema');
like($err, qr/Database needs bootstrapping or is older than Kong 1\.0/,
     'Kong\'s words');

finish();
