# The rows of a real Kong's database and what that Kong answered, where the
# recordings are.

use strict;
use warnings;

use KongNode;
use KongPg;
use KongTest;
use Test::More;

pg_skip();

my $shared = (shared_dir() || '') . '/conformance';
plan_skip('the recordings are not beside this checkout')
    if !-f "$shared/database.sql" || !-f "$shared/database.json";

# the player's upstream has a fixed port
port_lock(18999);

# the workspace is the recorded one's, too
my $pg = pg_new();
$pg->create('real');
my ($rc, $out, $err) = run({ env => { $pg->env(database => 'real') },
    timeout => 60 }, build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrap') or diag("$out$err");

my %tables = map { $_ => 1 }
             slurp("$shared/database.sql") =~ /^INSERT INTO public\.(\w+) /mg;
$pg->query('TRUNCATE ' . join(', ', sort keys %tables) . ' CASCADE',
           database => 'real');
($rc, $out, $err) = $pg->psql(undef, file => "$shared/database.sql",
    database => 'real', user => 'postgres',
    env => { PGOPTIONS => '-c session_replication_role=replica' });
is("$rc$err", '0', 'the rows') or diag($err);

my $node = node_start(workers => 2, env => { $pg->env(database => 'real') });

($rc, $out, $err) = run({ timeout => 300 },
    'python3', "$shared/conformance.py",
    '--proxy', "127.0.0.1:$node->{proxy}",
    '--proxy-ssl', "127.0.0.1:$node->{proxy_ssl}",
    '--live', '1', "$shared/database.json");

my ($passed, $failed) = $out =~ /^(\d+) passed, (\d+) failed/m;

is($failed, 0, 'requests that differ') or diag(substr($out, 0, 20000));
is($passed, 198, 'requests that match');
is($rc, 0, 'the exit code');
diag($err) if $err ne '';

finish();
