# A database with Kong's tables only, and a role that may only read: changes
# are seen by polling, whoever makes them; our additions are taken up when
# they are installed, without a restart.

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
my $rows = rows_new($pg, upstream => echo_start(), triggers => 0);
$rows->route('a');

$pg->admin('CREATE ROLE reader LOGIN PASSWORD \'r\'');
$pg->query('GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader');

my $node = node_start(env => {
    $pg->env, KONG_PG_USER => 'reader', KONG_PG_PASSWORD => 'r',
    KONG_DB_UPDATE_FREQUENCY => 1,
});

is($node->get('/a')->status, 200, 'it serves');

my $generation = $node->status->{configuration}{generation};

$rows->route('b');
is($node->wait_status('/b', 200, seconds => 4)->status, 200, 'an insert');

$rows->sql("UPDATE routes SET paths = '{/c}' WHERE name = 'b'");
is($node->wait_status('/c', 200, seconds => 4)->status, 200,
   'an update that leaves updated_at');

$rows->sql("DELETE FROM routes WHERE name = 'b'");
is($node->wait_status('/c', 404, seconds => 4)->status, 404, 'a delete');

# as many rows as before, another one
$rows->sql("DELETE FROM routes WHERE name = 'a'; "
    . "INSERT INTO routes (id, ws_id, name, paths, protocols, service_id) "
    . "SELECT '" . uuid_of('x') . "', ws_id, 'x', '{/x}', '{http}', id "
    . 'FROM services');
is($node->wait_status('/x', 200, seconds => 4)->status, 200, 'an exchange');
is($node->get('/a')->status, 404, 'of rows');

# writes that are none of ours make no configuration
$generation = $node->status->{configuration}{generation};
$rows->sql("INSERT INTO cluster_events (id, node_id, at, expire_at, channel) "
    . "SELECT md5(i::text)::uuid, md5('n')::uuid, now(), "
    . "now() + interval '1 hour', 'x' FROM generate_series(1, 100) i");
$rows->sql('VACUUM FULL routes');
nap(2.5);
is($node->status->{configuration}{generation}, $generation,
   'other tables, and a VACUUM, change nothing');

# `kong migrations up` afterwards
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
                           build() . '/kong', 'migrations', 'up');
is($rc, 0, 'migrations up') or diag("$out$err");
nap(2.5);
$rows->route('d');
my $begin = now();
is($node->wait_status('/d', 200, seconds => 4)->status, 200, 'a change');
cmp_ok(now() - $begin, '<', 0.5, 'is seen at once now');

# and away with them again
$rows->disarm;
nap(2.5);
$rows->route('e');
is($node->wait_status('/e', 200, seconds => 4)->status, 200,
   'dropped: polling again');

finish();
