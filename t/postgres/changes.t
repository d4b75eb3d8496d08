# The gateway's additions to a database: every change of a configuration
# table has one version for its transaction, is notified once, and a reader
# learns which rows changed, whoever wrote them and however.

use strict;
use warnings;

use KongPg;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my $kong = build() . '/kong';

sub bootstrap
{
    my ($server, $database) = @_;
    my ($rc, $out, $err) = run({ env => { $server->env(
        database => $database) } }, $kong, 'migrations', 'bootstrap', '-q');

    is("$rc$out$err", '0', "$database: bootstrapped");
}

# (version, stamp) now
sub head
{
    my (%o) = @_;

    return split(/\|/, ($o{server} || $pg)->query('SELECT version, stamp
        FROM controld_changes_since(0, 0) WHERE entity IS NULL', %o));
}

# what changed since: "f" when the log does not reach back, or names of
# tables with the ids' last digits
sub since
{
    my ($version, $stamp, %o) = @_;
    my @rows = split(/\n/, ($o{server} || $pg)->query("SELECT * FROM
        controld_changes_since($version, $stamp)", %o));
    my (undef, undef, $complete) = split(/\|/, shift @rows);

    return 'f' if $complete ne 't';
    return join(' ', sort map {
        my (undef, undef, undef, $name, $id) = split(/\|/, $_);
        $name . ' ' . (defined $id && $id ne '' ? substr($id, -2) : '*')
    } @rows);
}

sub id { return sprintf('00000000-0000-4000-8000-%012d', $_[0]) }

sub service
{
    my ($n, $name) = @_;

    return 'INSERT INTO services (id, name, ws_id) SELECT ' . "'" . id($n)
        . "', '" . ($name || "s$n") . "', id FROM workspaces;";
}

bootstrap($pg, 'kong');
is($pg->query('SELECT armed FROM controld_guard()'), 't', 'armed');
my @start = head();
is($start[0], 1, 'the first version');
is(since(@start), '', 'nothing changed');
is(since(0, 0), 'f', 'an unknown past');
is(since($start[0], $start[1] + 1), 'f', 'another history');


# --- one version a transaction

my @h = head();
$pg->query(service(1));
is((head())[0], $h[0] + 1, 'an insert is a version');
is(since(@h), 'services 01', 'and named');

@h = head();
$pg->query('BEGIN;' . service(2) . service(3)
    . "UPDATE services SET host = 'x' WHERE name = 's1';"
    . "INSERT INTO routes (id, service_id, ws_id) SELECT '" . id(4)
    . "', '" . id(2) . "', id FROM workspaces; COMMIT");
is((head())[0], $h[0] + 1, 'a transaction is one version');
is(since(@h), 'routes 04 services 01 services 02 services 03', 'all of it');

@h = head();
$pg->query('BEGIN;' . service(5) . 'SAVEPOINT a;' . service(6)
    . 'ROLLBACK TO a;' . service(7) . 'COMMIT');
is(since(@h), 'services 05 services 07', 'a savepoint that went back');
@h = head();
$pg->query('BEGIN; SAVEPOINT a;' . service(6) . 'ROLLBACK TO a;'
    . service(8) . 'COMMIT');
is(since(@h), 'services 08', 'the first change went back');
@h = head();
$pg->query('BEGIN;' . service(6) . 'ROLLBACK');
is("@{[head()]}", "@h", 'a rollback is no version');
$pg->query("UPDATE services SET host = 'y' WHERE name = 'nobody'");
is("@{[head()]}", "@h", 'no row, no version');
$pg->query('INSERT INTO cluster_events (id, node_id, at, expire_at) VALUES
    (gen_random_uuid(), gen_random_uuid(), now(), now())');
is("@{[head()]}", "@h", 'tables that configure nothing');

$pg->query("DELETE FROM routes; UPDATE services SET id = '" . id(9)
    . "' WHERE name = 's3'");
is(since(@h), 'routes 04 services 03 services 09', 'a changed id: both');
@h = head();
$pg->query('BEGIN; SET CONSTRAINTS ALL IMMEDIATE;' . service(11)
    . service(12) . 'COMMIT');
is(since(@h), 'services 11 services 12', 'constraints that are immediate');

# cascades, upserts, COPY, TRUNCATE
$pg->query("INSERT INTO consumers (id, username, ws_id)
    SELECT '" . id(20) . "', 'c', id FROM workspaces");
$pg->query("INSERT INTO keyauth_credentials (id, key, consumer_id, ws_id)
    SELECT '" . id(21) . "', 'k', '" . id(20) . "', id FROM workspaces");
@h = head();
$pg->query('DELETE FROM consumers');
is(since(@h), 'consumers 20 keyauth_credentials 21', 'a cascade');
is((head())[0], $h[0] + 1, 'in one version');
@h = head();
$pg->query(service(1, 's1') =~ s/;$/ ON CONFLICT (id) DO UPDATE
    SET host = 'z'/r);
is(since(@h), 'services 01', 'an upsert');
@h = head();
$pg->query('TRUNCATE routes CASCADE');
is(since(@h), 'filter_chains * plugins * routes *', 'a truncate');
@h = head();
spit(temp_dir() . '/copy', join('', map { id($_) . "\n" } 30, 31));
chmod(0644, temp_dir() . '/copy');
$pg->query("\\copy key_sets (id) FROM '" . temp_dir() . "/copy'");
is(since(@h), 'key_sets 30 key_sets 31', 'a copy');


# --- many rows

@h = head();
$pg->query("INSERT INTO consumers (id, username, ws_id) SELECT
    gen_random_uuid(), 'u' || i, w.id FROM workspaces w,
    generate_series(1, 5000) i");
is(since(@h), 'consumers *', 'many rows are the table');
is($pg->query("SELECT count(*) FROM controld_changes WHERE entity =
    'consumers' AND version > $h[0]"), 1, 'in one note');
@h = head();
$pg->query("DO \$\$ BEGIN FOR i IN 1 .. 3000 LOOP UPDATE consumers
    SET custom_id = i WHERE username = 'u' || i; END LOOP; END \$\$");
like(since(@h), qr/^consumers \*/, 'many statements too');
cmp_ok($pg->query("SELECT count(*) FROM controld_changes
    WHERE version > $h[0]"), '<=', 1001, 'with bounded notes');

# the log is bounded
$pg->query("DO \$\$ BEGIN FOR i IN 1 .. 2500 LOOP UPDATE services
    SET port = i WHERE name = 's1'; COMMIT; END LOOP; END \$\$",
    timeout => 120);
cmp_ok($pg->query('SELECT count(*) FROM controld_commits'), '<', 2200,
       'old versions go');
is(since(@h), 'f', 'the log does not reach back to them');
@h = head();
$pg->query(service(40));
is(since(@h), 'services 40', 'but to the newer ones');


# --- notifications

my ($rc, $out) = $pg->psql('', file => spit(temp_dir() . '/notify.sql',
    "LISTEN kong_changes;\nBEGIN;\n" . service(50) . "\n" . service(51)
    . "\n" . "DELETE FROM routes;\nCOMMIT;\nSELECT 1;\n"));
my @told = $out =~ /"kong_changes" with payload "([^"]*)"/g;
is("@told", (head())[0] . ' public', 'one notification a transaction')
    or diag($out);


# --- concurrent writers: versions are in the order of commits, nobody waits
# --- in a cycle, nobody fails

$pg->query("INSERT INTO services (id, name, ws_id) SELECT gen_random_uuid(),
    'p' || i, w.id FROM workspaces w, generate_series(1, 8) i");
my $base = (head())[0];
my @pids = map {
    my $loop = "DO \$\$ BEGIN FOR i IN 1 .. 100 LOOP
        UPDATE services SET port = i WHERE name = 'p1';
        UPDATE services SET port = i WHERE name = 'p2';
        UPDATE services SET port = i WHERE name = 'p$_';
        COMMIT; END LOOP; END \$\$";
    spawn({ STDOUT => temp_dir() . "/w$_" }, "$pg->{bin}/psql", '-X', '-q',
          '-h', $pg->{dir}, '-p', $pg->{port}, '-U', 'kong', '-d', 'kong',
          '-v', 'ON_ERROR_STOP=1', '-c', $loop)
} 3 .. 6;
waitpid($_, 0) for @pids;
is(join('', map { slurp(temp_dir() . "/w$_") } 3 .. 6), '', 'no writer fails');
is((head())[0], $base + 400, 'a version for each commit');
is($pg->query("SELECT count(*) FROM controld_commits WHERE version > $base"),
   400, 'none is lost');
is($pg->query('SELECT count(*) FROM controld_changes WHERE version IS NULL'),
   0, 'no note without a version');

# old snapshots
$pg->query("CREATE EXTENSION IF NOT EXISTS dblink", user => 'postgres');
($rc, $out) = $pg->psql("BEGIN ISOLATION LEVEL REPEATABLE READ;
    SELECT count(*) FROM services;
    SELECT dblink_exec('host=$pg->{dir} port=$pg->{port} user=postgres
        dbname=kong', \$\$" . service(60) . "\$\$);
    " . service(61) . 'COMMIT', user => 'postgres');
is($rc, 0, 'a transaction with an old snapshot commits');


# --- other users, other ways

$pg->admin('CREATE ROLE writer LOGIN; CREATE ROLE reader LOGIN;
    GRANT SELECT, INSERT ON services, workspaces, tags TO writer;
    GRANT UPDATE ON tags TO writer', database => 'kong');
@h = head();
$pg->query(service(70), user => 'writer');
is(since(@h), 'services 70', 'a user who may only write services');
is(since(@h, user => 'reader'), 'services 70', 'one who may only read');
($rc) = $pg->psql("SELECT controld_note('services', 'INSERT', NULL)",
                  user => 'reader');
isnt($rc, 0, 'who cannot forge');

@h = head();
$pg->query('SET session_replication_role = replica;' . service(71),
           user => 'postgres');
is(since(@h), 'services 71', 'replicated rows');
@h = head();
$pg->query('SET session_replication_role = replica; TRUNCATE snis',
           user => 'postgres');
is(since(@h), 'snis *', 'a replicated truncate');

# switched off and on
my $guard = $pg->query('SELECT guard FROM controld_guard()');
$pg->query('ALTER TABLE services DISABLE TRIGGER ALL', user => 'postgres');
is($pg->query('SELECT armed FROM controld_guard()'), 'f', 'not armed');
$pg->query(service(72), user => 'postgres');
$pg->query('ALTER TABLE services ENABLE TRIGGER ALL', user => 'postgres');
isnt($pg->query('SELECT guard FROM controld_guard()'), $guard,
     'switched off and on: the guard differs');
my %env = $pg->env;
($rc, $out) = run({ env => \%env }, $kong, 'migrations', 'up');
is($pg->query('SELECT armed FROM controld_guard()'), 't', 'up repairs');


# --- dumps and restores

@h = head();
$pg->query(service(80));
my $dump = "$pg->{dir}/dump";
($rc, $out, my $err) = $pg->client('pg_dump', [ '-Fc', '-f', $dump ],
                                   user => 'postgres');
is("$rc$err", '0', 'pg_dump');
$pg->create('copy');
($rc, $out, $err) = $pg->client('pg_restore', [ $dump ],
                                user => 'postgres', database => 'copy');
is("$rc$err", '0', 'pg_restore into an empty database');
is($pg->query('SELECT armed FROM controld_guard()', database => 'copy'), 't',
   'armed');
is(since(@h, database => 'copy'), 'services 80', 'the same history');
my @c = head(database => 'copy');
$pg->query(service(81), database => 'copy');
is(since(@c, database => 'copy'), 'services 81', 'which goes on');
$pg->query(service(82));
my @newer = head();
my @copy = head(database => 'copy');
is($copy[0], $newer[0], 'two histories, one number');
is(since(@newer, database => 'copy'), 'f', 'are told apart');

# over what is there: a reader's version is not found any more
$pg->query(service(83));
@newer = head();
($rc, $out, $err) = $pg->client('pg_restore', [ '--clean', '--if-exists',
    $dump ], user => 'postgres');
is("$rc$err", '0', 'pg_restore --clean');
is(since(@newer), 'f', 'a version from before is unknown');
is($pg->query('SELECT armed FROM controld_guard()'), 't', 'armed');

# rows alone
$pg->query(service(84));
($rc) = $pg->client('pg_dump', [ '-Fc', '-a', '-t', 'services', '-f',
                                 "$dump.rows" ]);
$pg->query('DELETE FROM services; DELETE FROM tags');
@h = head();
($rc, $out, $err) = $pg->client('pg_restore', [ '-a', "$dump.rows" ]);
is("$rc$err", '0', 'pg_restore of rows');
like(since(@h), qr/^services /, 'is seen');
$pg->query('DELETE FROM services');
$guard = $pg->query('SELECT guard FROM controld_guard()');
($rc, $out, $err) = $pg->client('pg_restore', [ '-a', '--disable-triggers',
    "$dump.rows" ], user => 'postgres');
is("$rc$err", '0', 'without triggers');
isnt($pg->query('SELECT guard FROM controld_guard()'), $guard,
     'the guard tells');


# --- logical and physical replicas

my $other = pg_new();
bootstrap($other, 'kong');
$pg->query('CREATE PUBLICATION p FOR TABLE services', user => 'postgres');
$other->query('CREATE SUBSCRIPTION s CONNECTION \'host=127.0.0.1 port='
    . "$pg->{port} user=postgres dbname=kong' PUBLICATION p
    WITH (copy_data = false)", user => 'postgres');
@h = head(server => $other);
$other->query('UPDATE workspaces SET id = \'' . $pg->query(
    'SELECT id FROM workspaces') . "'");
wait_until(10, sub {
    $other->query("SELECT count(*) FROM pg_stat_subscription
        WHERE received_lsn IS NOT NULL") == 1
});
@h = head(server => $other);
$pg->query(service(90));
ok(wait_until(20, sub { (head(server => $other))[0] > $h[0] }),
   'logical replication makes a version');
is(since(@h, server => $other), 'services 90', 'and names the row');
$other->query('DROP SUBSCRIPTION s', user => 'postgres');

my $replica = $pg->replica();
@h = head();
$pg->query(service(91));
ok(wait_until(10, sub { since(@h, server => $replica) eq 'services 91' }),
   'a physical replica has the same log') or diag($replica->log);
$pg->stop('KILL');
$replica->promote;
@h = head(server => $replica);
$replica->query(service(92));
is(since(@h, server => $replica), 'services 92', 'promoted, it goes on');
cmp_ok((head(server => $replica))[0], '>', $h[0], 'with higher versions');

finish();
