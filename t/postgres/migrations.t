# kong migrations on a real server: the catalog it makes, held against the
# list of Kong 3.9's, its commands, their texts and exit codes, and what runs
# that meet or die leave.

use strict;
use warnings;

use KongPg;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my $kong = build() . '/kong';
my $busy = 'aborted: another node is performing database changes';
my $empty = 'Database needs bootstrapping or is older than Kong 1.0.';

# migrations of a database: (exit code, stdout, stderr)
sub migrations
{
    my ($database, @args) = @_;
    my %env = ref $args[0] ? %{ shift @args } : ();

    return run({ env => { $pg->env(database => $database), %env },
                 timeout => 60 }, $kong, 'migrations', @args);
}

sub bootstrapped
{
    my ($database, %env) = @_;

    $pg->create($database);
    my ($rc, $out, $err) = migrations($database, \%env, 'bootstrap', '-q');
    is("$rc$out$err", '0', "$database: bootstrap -q says nothing");

    return $database;
}


# --- an empty database

my ($rc, $out, $err) = migrations('kong', 'list');
is($rc, 3, 'list of an empty database: 3');
like($out, qr/^\Q$empty\E/, 'says so');

for my $command (qw(up finish)) {
    ($rc, $out, $err) = migrations('kong', $command);
    is($rc, 1, "$command of an empty database");
    like($err, qr/^Error: Cannot run migrations: \Q$empty\E/, 'says so');
}

($rc, $out) = migrations('kong', 'status');
is($rc, 0, 'status of an empty database');
ok(json_decode($out)->{needs_bootstrap}, 'needs_bootstrap');

($rc, $out, $err) = migrations('kong', 'reset');
is($rc, 1, 'reset without a terminal');
like($err, qr/not a tty: invoke 'reset' non-interactively with the --yes flag/,
     'says so');
($rc, $out) = migrations('kong', 'reset', '-y');
is($rc, 1, 'reset of an empty database');

($rc, $out, $err) = migrations('kong', 'nosuch');
is($rc, 1, 'an unknown command');
($rc, $out, $err) = migrations('kong');
is($rc, 1, 'no command');


# --- bootstrap

($rc, $out, $err) = migrations('kong', 'bootstrap');
is("$rc $err", '0 ', 'bootstrap');
is(join("\n", (split(/\n/, $out))[0 .. 2]), "Bootstrapping database...\n"
   . "migrating core on database 'kong'...\n"
   . 'core migrated up to: 000_base (executed)', 'how it begins');
like($out, qr/^session migrated up to: 002_320_to_330 \(executed\)$/m,
     'the last of a plugin');
is(substr($out, -60), substr("(executed)\n68 migrations processed\n"
   . "68 executed\nDatabase is up-to-date\n", -60), 'how it ends');

($rc, $out) = migrations('kong', 'bootstrap');
is("$rc $out", "0 Database already bootstrapped\n", 'bootstrap again');
($rc, $out) = migrations('kong', 'up');
is("$rc $out", "0 Database is already up-to-date\n", 'up');
($rc, $out) = migrations('kong', 'finish');
is("$rc $out", "0 No pending migrations to finish\n", 'finish');
($rc, $out) = migrations('kong', 'up', '-f');
is($rc, 0, 'up -f');

($rc, $out) = migrations('kong', 'list');
is($rc, 0, 'list: 0');
like($out, qr/^Executed migrations:\n   core: 000_base, 003_100_to_110, /,
     'names them');
unlike($out, qr/New|Pending|Missing|Optional|Triggers/, 'nothing else');

($rc, $out) = migrations('kong', 'status');
my $status = json_decode($out);
ok(!$status->{needs_bootstrap} && $status->{notifies}, 'status');
is($status->{executed_migrations}[0]{subsystem}, 'core', 'executed');

is($pg->query('SELECT count(*) FROM locks'), 0, 'no lock is left');
is($pg->query('SELECT name, comment, meta, config FROM workspaces'),
   'default|||', 'the default workspace');
like($pg->query('SELECT key, value FROM parameters'),
     qr/^cluster_id\|[0-9a-f-]{36}$/, 'the cluster\'s id');


# --- the catalog

sub catalog
{
    my ($database) = @_;
    my $of = 'FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace '
        . 'AND n.nspname = \'public\' AND c.relkind = \'r\' '
        . 'AND c.relname NOT LIKE \'controld\_%\' ';
    my %table;

    my @queries = (
        "SELECT c.relname, '0', a.attnum, '  column ' || a.attname || ' ' ||
            format_type(a.atttypid, a.atttypmod) ||
            CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END ||
            coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')
         $of JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
         AND NOT a.attisdropped
         LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum",
        "SELECT c.relname, '1', 0, '  constraint ' || k.conname || ' ' ||
            pg_get_constraintdef(k.oid)
         $of JOIN pg_constraint k ON k.conrelid = c.oid
         AND k.contype IN ('p', 'u', 'f', 'c')",
        "SELECT c.relname, '2', 0, '  index ' || i.relname || ' ' ||
            CASE WHEN x.indisunique THEN 'unique ' ELSE '' END ||
            substring(pg_get_indexdef(i.oid) from 'USING (.*)')
         $of JOIN pg_index x ON x.indrelid = c.oid
         JOIN pg_class i ON i.oid = x.indexrelid
         WHERE NOT EXISTS (SELECT FROM pg_constraint k
            WHERE k.conindid = i.oid AND k.contype IN ('p', 'u'))",
        "SELECT c.relname, '3', 0, '  trigger ' || t.tgname || ' ' ||
            pg_get_triggerdef(t.oid)
         $of JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
         AND t.tgname NOT LIKE 'controld\\_%'",
    );

    for my $query (@queries) {
        for my $line (split(/\n/, $pg->query($query,
                                             database => $database)))
        {
            my ($name, $kind, $n, $text) = split(/\|/, $line, 4);

            if ($text =~ / CREATE TRIGGER \S+ AFTER (.*) ON \S+ FOR EACH /) {
                my $when = $1 =~ s{ OR }{/}gr;
                my ($each, $calls) =
                    $text =~ / FOR EACH (\w+) EXECUTE FUNCTION (.*)/;
                $text =~ s/ CREATE TRIGGER .*/ \L$each\E AFTER $when $calls/;
            }

            push @{ $table{$name} }, [ $kind, $n, $text ];
        }
    }

    return join("\n", map {
        my $name = $_;
        "table $name", (map { $_->[2] } sort {
            $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] || $a->[2] cmp $b->[2]
        } @{ $table{$name} }), ''
    } sort keys %table);
}

my $wanted = slurp(top() . '/t/postgres/schema-3.9.txt');
$wanted =~ s/^#.*\n//mg;
$wanted =~ s/^\n//;

my @got = split(/^(?=table )/m, catalog('kong') . "\n");
my @want = split(/^(?=table )/m, $wanted);

is(scalar @got, scalar @want, scalar(@want) . ' tables');
for my $i (0 .. $#want) {
    my ($name) = $want[$i] =~ /^table (\w+)/;
    is(($got[$i] || '') =~ s/\s+\z//r, $want[$i] =~ s/\s+\z//r,
       "table $name is Kong's");
}

is($pg->query("SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc
               WHERE pronamespace = 'public'::regnamespace
               AND proname NOT LIKE 'controld%'"),
   'batch_delete_expired_rows sync_tags', 'the functions');


# --- what the triggers do

my $ws = $pg->query('SELECT id FROM workspaces');
my $sid = '11111111-1111-4111-8111-111111111111';

$pg->query("INSERT INTO services (id, name, ws_id, tags)
            VALUES ('$sid', 's', '$ws', '{a,b}')");
is($pg->query('SELECT * FROM tags'), "$sid|services|{a,b}", 'tags: insert');
$pg->query("UPDATE services SET tags = '{c}'");
is($pg->query('SELECT * FROM tags'), "$sid|services|{c}", 'tags: update');
is(($pg->psql("SET search_path TO ''; UPDATE public.services SET tags = NULL")
   )[0], 0, 'tags: whatever the session\'s path');
$pg->query('DELETE FROM services');
is($pg->query('SELECT * FROM tags'), '', 'tags: delete');

$pg->query("INSERT INTO cluster_events (id, node_id, at, expire_at)
    SELECT gen_random_uuid(), gen_random_uuid(), now(),
    now() + (CASE WHEN i <= 5 THEN -1 ELSE 1 END || ' hour')::interval
    FROM generate_series(1, 6) i");
my $left = 'SELECT count(*) FROM cluster_events WHERE expire_at < now()';
is($pg->query($left), 3, 'an insert takes two expired rows away');
$pg->query("INSERT INTO cluster_events (id, node_id, at, expire_at)
    VALUES (gen_random_uuid(), gen_random_uuid(), now(), now())");
is($pg->query("$left - interval '1 minute'"), 1, 'and the next two more');


# --- states that Kong leaves

bootstrapped('old');
my $meta = 'UPDATE schema_meta SET';
$pg->query("$meta executed = executed[1:22],
    last_executed = '023_360_to_370' WHERE subsystem = 'core'",
    database => 'old');
$pg->query("UPDATE schema_meta SET executed =
    array_remove(executed, '024_380_to_390') WHERE subsystem = 'core'",
    database => 'old');
($rc, $out) = migrations('old', 'list');
is($rc, 5, 'an older Kong\'s database: 5');
like($out, qr/New migrations available:\n   core: 024_380_to_390/, 'which');
($rc, $out, $err) = migrations('old', 'up');
is($rc, 1, 'is not upgraded');
like($err, qr/of a Kong older than 3\.9 and must be upgraded with Kong 3\.9's/,
     'says why');
like($err, qr/missing:\n   core: 024_380_to_390\n/, 'and what is missing');

$pg->query("$meta pending = '{024_380_to_390}' WHERE subsystem = 'core'",
           database => 'old');
($rc, $out) = migrations('old', 'list');
is($rc, 4, 'pending migrations: 4');
like($out, qr/Pending migrations:\n   core: 024_380_to_390/, 'which');
($rc, $out, $err) = migrations('old', 'up');
is($rc, 1, 'up with pending ones');
like($err, qr/Database has pending migrations; run 'kong migrations finish'/,
     'says so');
($rc, $out, $err) = migrations('old', 'finish');
is($rc, 1, 'finish is Kong\'s');
like($err, qr/only Kong can finish them/, 'says so');

# a later Kong, another's plugin
$pg->query("$meta executed = executed || '{024_380_to_390,025_x}',
    pending = '{}', last_executed = '025_x' WHERE subsystem = 'core'",
    database => 'old');
$pg->query("INSERT INTO schema_meta VALUES ('schema_meta', 'mine', '000_m',
    '{000_m}', NULL)", database => 'old');
($rc, $out) = migrations('old', 'list');
is($rc, 0, 'a later one is taken as it is');
like($out, qr/Unknown to this version:\n   core: 025_x\n   mine: 000_m/,
     'and named');

# Kong with a few plugins makes only their tables
bootstrapped('few', KONG_PLUGINS => 'key-auth,cors');
is($pg->query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'
    AND tablename LIKE '%\\_credentials'", database => 'few'), 1,
   'only the enabled plugins\' tables');
($rc, $out) = migrations('few', 'list');
is($rc, 5, 'more plugins need more');
like($out, qr/^Run 'kong migrations up' to proceed$/m, 'Kong\'s words');
($rc, $out) = migrations('few', 'up');
is($rc, 0, 'which up adds');
like($out, qr/^acl migrated up to: 004_212_to_213 \(executed\)$/m, 'named');
is(catalog('few'), catalog('kong'), 'the same catalog');
is($pg->query('SELECT armed FROM controld_guard()', database => 'few'), 't',
   'with triggers on the new tables');

# Kong's own database, never seen by us
$pg->query("DROP TABLE controld_migrations, controld_commits,
    controld_changes CASCADE", database => 'few');
$pg->query("DO \$\$ DECLARE p regprocedure; BEGIN FOR p IN SELECT oid FROM
    pg_proc WHERE proname LIKE 'controld\\_%' LOOP
    EXECUTE format('DROP FUNCTION %s CASCADE', p); END LOOP;
    DROP SEQUENCE controld_version_seq; END \$\$", database => 'few');
($rc, $out) = migrations('few', 'list');
is($rc, 0, 'Kong\'s database is up to date');
like($out, qr/Optional additions.*\n   controld: 900_changes/, 'we could add');
my $before = $pg->query('SELECT * FROM schema_meta ORDER BY subsystem',
                        database => 'few');
($rc, $out) = migrations('few', 'up');
is("$rc $out", "0 migrating controld on database 'few'...\n"
   . "controld migrated up to: 900_changes (executed)\n"
   . "1 migration processed\n1 executed\n", 'up adds ours alone');
is($pg->query('SELECT * FROM schema_meta ORDER BY subsystem',
              database => 'few'), $before, 'schema_meta is Kong\'s');


# from an empty database on, whatever was in it
$pg->query('CREATE TABLE mine (id int)', database => 'few');
($rc, $out) = migrations('few', 'bootstrap', '-f');
is($rc, 0, 'bootstrap -f');
like($out, qr/^Resetting database\.\.\.\nDatabase successfully reset
Bootstrapping database.*^Database is up-to-date\n\z/ms,
     'resets first');
is(catalog('few'), catalog('kong'), 'nothing is left of before');
$pg->create('fresh');
($rc, $out) = migrations('fresh', 'bootstrap', '--force');
is($rc, 0, 'bootstrap -f of an empty database');
like($out, qr/^Database not bootstrapped, nothing to reset\nBootstrapping /,
     'has nothing to reset');


# --- runs that meet, and runs that die

$pg->create('many');
my @pids = map {
    my $n = $_;
    spawn({ $pg->env(database => 'many'),
            STDOUT => temp_dir() . "/many$n" }, $kong, 'migrations',
          'bootstrap')
} 1 .. 5;
my @codes = map { waitpid($_, 0); $? } @pids;
my @texts = map { slurp(temp_dir() . "/many$_") } 1 .. 5;
is("@codes", '0 0 0 0 0', 'five at once: all end well');
is(scalar(grep { /68 executed/ } @texts), 1, 'one does it');
is(scalar(grep { /68 executed|already boot|is up-to-date|\Q$busy\E/ } @texts),
   5, 'the others say why they do not') or diag(@texts);
is(catalog('many'), catalog('kong'), 'once');

$pg->query("INSERT INTO locks VALUES ('migrations', 'kong',
    now() + interval '1 hour')", database => 'many');
($rc, $out) = migrations('many', 'up');
is("$rc $out", "0 $busy\n", 'while Kong migrates');
($rc, $out) = migrations('many', 'reset', '-y');
is("$rc $out", "1 $busy\n", 'no reset either');
$pg->query("UPDATE locks SET ttl = now() - interval '1 s'",
           database => 'many');
($rc, $out) = migrations('many', 'up');
is("$rc $out", "0 Database is already up-to-date\n", 'a lock expires');

# the run stops at a table that another transaction makes, and is killed
$pg->create('killed');
my $blocker = spawn({ STDOUT => '/dev/null' }, "$pg->{bin}/psql", '-X',
    '-h', $pg->{dir}, '-p', $pg->{port}, '-U', 'kong', '-d', 'killed', '-c',
    'BEGIN; CREATE TABLE plugins (id int); SELECT pg_sleep(60)');
my $waits = sub {
    my ($what, $n) = @_;
    wait_until(10, sub {
        $pg->admin("SELECT count(*) FROM pg_stat_activity
            WHERE datname = 'killed' AND $what") == $n
    });
};
$waits->("wait_event = 'PgSleep'", 1);
my $victim = spawn({ $pg->env(database => 'killed'), STDOUT => '/dev/null' },
                   $kong, 'migrations', 'bootstrap');
ok($waits->("wait_event_type = 'Lock'", 1), 'a bootstrap in the middle');
($rc, $out) = migrations('killed', 'bootstrap');
is("$rc $out", "0 Bootstrapping database...\n$busy\n", 'is not disturbed');
is($pg->query('SELECT count(*) FROM locks', database => 'killed'), 1,
   'holds Kong\'s lock');
kill_pid($victim, 'KILL');
ok($waits->("application_name = 'kong'", 0), 'killed: its server side ends');
kill_pid($blocker);
$waits->("wait_event = 'PgSleep'", 0);
$pg->admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = 'killed'");
is($pg->query("SELECT string_agg(tablename, ' ') FROM pg_tables
               WHERE schemaname = 'public'", database => 'killed'), 'locks',
   'nothing but the lock is left');
($rc, $out, $err) = migrations('killed', 'bootstrap');
is($rc, 0, 'the next run takes over') or diag($out . $err);
is(catalog('killed'), catalog('kong'), 'and does it all');


# --- rows of a real Kong

SKIP: {
    my $file = (shared_dir() || '') . '/conformance/database.sql';
    skip('no recorded database here', 1) if !-f $file;

    my %rows;
    $rows{$_}++ for slurp($file) =~ /^INSERT INTO public\.(\w+) /mg;
    my $count = sub {
        my ($database) = @_;
        return { map {
            $_ => $pg->query("SELECT count(*) FROM $_",
                             database => $database)
        } keys %rows };
    };
    my $clear = 'TRUNCATE ' . join(', ', sort keys %rows) . ' CASCADE';

    bootstrapped('real');
    my $meta = 'SELECT key, subsystem, last_executed, executed,
        coalesce(pending, \'{}\') FROM schema_meta ORDER BY subsystem';
    my $fresh = $pg->query($meta, database => 'real');

    $pg->query($clear, database => 'real');
    ($rc, $out, $err) = $pg->psql(undef, file => $file, database => 'real',
        user => 'postgres',
        env => { PGOPTIONS => '-c session_replication_role=replica' });
    is("$rc$err", '0', 'loads') or diag($err);
    is_deeply($count->('real'), \%rows, 'every row');
    is($pg->query($meta, database => 'real'), $fresh,
       'schema_meta is what we record');
    ($rc) = migrations('real', 'list');
    is($rc, 0, 'up to date');

    # with triggers tags come twice, and events that expired not at all
    $pg->query($clear, database => 'real');
    ($rc, $out, $err) = $pg->psql(undef, file => $file, database => 'real',
                                  stop => 0);
    is(join('', grep { !/tags_pkey|^DETAIL|already exists/ }
            split(/^/m, $err)), '', 'loads with triggers');
    delete $rows{cluster_events};
    is_deeply($count->('real'), \%rows, 'every row again');
}


# --- other settings

bootstrapped('schema1', KONG_PG_SCHEMA => 'my "schema"');
is($pg->query("SELECT count(*) FROM pg_tables
               WHERE schemaname = 'my \"schema\"' AND tablename = 'routes'",
              database => 'schema1'), 1, 'pg_schema');
is($pg->query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'",
              database => 'schema1'), 0, 'nothing elsewhere');
($rc, $out) = migrations('schema1', { KONG_PG_SCHEMA => 'my "schema"' },
                         'reset', '--yes');
is("$rc $out", "0 Resetting database...\nDatabase successfully reset\n",
   'reset');
($rc) = migrations('schema1', { KONG_PG_SCHEMA => 'my "schema"' }, 'list');
is($rc, 3, 'empty again');

# public belongs to somebody else: all that is ours goes
$pg->admin('CREATE DATABASE lent OWNER postgres');
$pg->admin('GRANT ALL ON SCHEMA public TO kong; CREATE TABLE theirs (id int)',
           database => 'lent');
migrations('lent', 'bootstrap', '-q');
($rc, $out, $err) = migrations('lent', 'reset', '-y');
is("$rc$err", '0', 'reset where the schema is not ours');
is($pg->admin("SELECT string_agg(relname, ' ') FROM pg_class WHERE
    relnamespace = 'public'::regnamespace", database => 'lent'), 'theirs',
   'leaves what is not ours');
is($pg->admin("SELECT count(*) FROM pg_proc WHERE
    pronamespace = 'public'::regnamespace", database => 'lent'), 0,
   'and no function');

# hosts
($rc, $out, $err) = migrations('kong', { KONG_PG_PORT => 1 }, 'list');
is($rc, 1, 'no server');
is((split(/\n/, $err))[0], 'Error: [PostgreSQL error] failed to retrieve '
   . 'PostgreSQL server_version_num: connection refused', 'Kong\'s words');
($rc) = migrations('kong', { KONG_PG_HOST => '127.0.0.1:1,127.0.0.1' },
                   'list');
is($rc, 0, 'the second host');
($rc) = migrations('kong', { KONG_PG_HOST => $pg->{dir} }, 'list');
is($rc, 0, 'a unix socket');
($rc, $out, $err) = migrations('kong', { KONG_PG_HOST => '127.0.0.1:x' },
                               'list');
is($rc, 1, 'a port that is none');
($rc, $out, $err) = migrations('kong', { KONG_PG_SSL => 'on' }, 'list');
is($rc, 1, 'pg_ssl = on never speaks in clear');
like($err, qr/SSL/, 'says so');
($rc, $out, $err) = migrations('kong', { KONG_DATABASE => 'off' }, 'list');
is($rc, 1, 'no database');
($rc, $out, $err) = migrations('nowhere', 'list');
is($rc, 1, 'a database that is not there');
like($err, qr/database "nowhere" does not exist/, 'says so');

my $replica = $pg->replica();
($rc, $out, $err) = migrations('kong',
    { KONG_PG_PORT => $replica->{port} }, 'up');
is($rc, 1, 'a replica cannot be migrated');
like($err, qr/it is a replica/, 'says so');
$pg->create('second');
my $both = "127.0.0.1:$replica->{port},127.0.0.1:$pg->{port}";
($rc, $out, $err) = migrations('second', { KONG_PG_HOST => $both },
                               'bootstrap', '-q');
is("$rc$out$err", '0', 'of two hosts the primary is taken');
ok(wait_until(10, sub {
    (migrations('second', { KONG_PG_PORT => $replica->{port} }, 'list'))[0]
        == 0
}), 'list asks the replica');

# a server that hangs
$pg->pause;
my $start = now();
($rc, $out, $err) = migrations('kong', 'list', '--db-timeout', 1);
is($rc, 1, 'a server that hangs');
like($err, qr/: timeout\n/, 'says so');
cmp_ok(now() - $start, '<', 4, 'in time');
$pg->resume;

($rc, $out) = migrations('kong', 'reset', '-y');
is($rc, 0, 'reset');
is($pg->query("SELECT count(*) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace"), 0, 'nothing is left');
is($pg->query("SELECT count(*) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace"), 0, 'no function either');

finish();
