# kong start on databases that a node cannot use, or not yet: never
# bootstrapped, of an older or a newer Kong, halfway through an upgrade;
# --run-migrations and --db-timeout; a reload that changes `database`.

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
my $upstream = echo_start();
my $kong = build() . '/kong';
my $empty = 'Database needs bootstrapping or is older than Kong 1.0.';
my $meta = 'UPDATE schema_meta SET';

sub refused
{
    my ($node, $like, $what, @args) = @_;
    my ($rc, $out, $err) = $node->kong('start', '-p', $node->{prefix}, @args);

    is($rc, 1, $what);
    like($err, $like, "$what: says so");
    unlike($out, qr/Kong started/, "$what: nothing else");
    ok(!$node->running, "$what: no process is left");
}

sub started
{
    my ($node, $what, @args) = @_;
    my ($rc, $out, $err) = $node->kong('start', '-p', $node->{prefix}, @args);

    $node->{started} = 1;
    $node->note_processes;
    is($rc, 0, $what) or diag($err . $node->logs);
    like($out, qr/^Kong started$/m, "$what: says so");

    return $err;
}

# --- never bootstrapped

my $node = node_new(env => { $pg->env });

refused($node, qr/^Error: \Q$empty\E\n\nTo start a new installation from /,
        'an empty database');
refused($node, qr/^Error: Cannot run migrations: \Q$empty\E/,
        '--run-migrations bootstraps nothing', '--run-migrations');

my $rows = rows_new($pg, upstream => $upstream);
$rows->route('a');

# --- migrations of ours and of Kong's that are new

$rows->sql("DELETE FROM schema_meta WHERE subsystem = 'acl'");
$rows->sql('DROP TABLE acls');
refused($node, qr/^Error: New migrations available; run 'kong migrations up' /,
        'a plugin without its tables');

# another node runs them
$rows->sql("INSERT INTO locks VALUES ('migrations', 'another',
            now() + interval '1 hour')");
refused($node, qr/New migrations available/, 'another node has the lock',
        '--run-migrations', '--lock-timeout', 1);
my $free = spawn(sub {
    nap(1);
    $pg->query('DELETE FROM locks');
});
my $err = started($node, '--run-migrations waits for it', '--run-migrations');
waitpid($free, 0);
is($err, '', 'and warns of nothing');
is($rows->sql("SELECT last_executed FROM schema_meta
               WHERE subsystem = 'acl'"), '004_212_to_213', 'they were run');
is($rows->sql('SELECT armed FROM controld_guard()'), 't', 'with triggers');
is($node->get('/a')->status, 200, 'it serves');
ok($node->stop, 'stopped');

# what a node can do without
$rows->disarm;
$err = started($node, 'without triggers');
like($err, qr/does not tell about changes.*run 'kong migrations up'/,
     'is told');
ok($node->stop, 'stopped');
$err = started($node, 'with --run-migrations', '--run-migrations');
is($rows->sql('SELECT armed FROM controld_guard()'), 't',
   'they are installed');

# --- a reload cannot change where the configuration comes from

my ($rc, $out, $text) = run({ env => { %{ $node->{env} },
    KONG_DATABASE => 'off' } }, $kong, 'reload', '-p', $node->{prefix});
is($rc, 1, 'a reload with another database');
like($text, qr/^Error:\sthe\ssetting\s'database'\schanges\sfrom\spostgres\s
               to\soff,\swhich\sneeds\sa\srestart/x, 'says why');
like(slurp("$node->{prefix}/.kong_env"), qr/^database = "?postgres"?$/m,
     'and writes nothing');
$rows->route('b');
is($node->wait_status('/b', 200)->status, 200, 'the node goes on as before');
is(($node->reload)[0], 0, 'a reload with the same one');
ok($node->stop, 'stopped');

# --- halfway through an upgrade of Kong's, and after one

$rows->sql("$meta pending = '{024_380_to_390}',
    executed = array_remove(executed, '024_380_to_390'),
    last_executed = '023_360_to_370' WHERE subsystem = 'core'");
$err = started($node, 'pending migrations');
like($err, qr/pending migrations.*   core: 024_380_to_390/, 'are told');
ok($node->stop, 'stopped');
started($node, 'pending ones, --run-migrations', '--run-migrations');
ok($node->stop, 'stopped');

$rows->sql("$meta pending = NULL,
    executed = executed || '{024_380_to_390,025_390_to_400}',
    last_executed = '025_390_to_400' WHERE subsystem = 'core'");
$rows->sql("INSERT INTO schema_meta VALUES ('schema_meta', 'theirs', '000_t',
            '{000_t}', NULL)");
started($node, 'a newer Kong\'s database');
is($node->get('/b')->status, 200, 'it serves');
ok($node->stop, 'stopped');

my $fresh = node_new(env => { $pg->env });
$rows->sql("$meta executed = executed[1:21],
    last_executed = '022_350_to_360' WHERE subsystem = 'core'");
refused($fresh, qr/^Error: New migrations available.*upgraded with Kong 3\.9/,
        'an older Kong\'s');

# --- a server that hangs

$pg->pause;
my $begin = now();
refused($fresh, qr/^Error: \[PostgreSQL error\] .*timeout/,
        'a server that hangs', '--db-timeout', 1);
cmp_ok(now() - $begin, '<', 4, '--db-timeout ends it');
$err = started($node, 'with a snapshot it starts', '--db-timeout', 1,
               '--run-migrations');
like($err, qr/migrations were not run: .*timeout/, 'says what it left');
like($err, qr/the last configuration is served/, 'and what it does');
is($node->get('/b')->status, 200, 'it serves');
$pg->resume;

finish();
