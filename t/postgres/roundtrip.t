# The rows of a real Kong's database, exported and imported into a database
# that we made, are the same rows, and once more change nothing.

use strict;
use warnings;

use KongPg;
use KongTest;
use Test::More;

pg_skip();

my $source = (shared_dir() || '') . '/conformance/database.sql';
plan_skip('no recorded database here') if !-f $source;

my @TABLES = qw(acls basicauth_credentials ca_certificates certificates
    consumers hmacauth_credentials jwt_secrets key_sets keyauth_credentials
    keys oauth2_credentials plugins routes services sm_vaults snis targets
    upstreams);

my $pg = pg_new();
my $kong = build() . '/kong';
my $dir = temp_dir();

sub kong
{
    my ($database, @args) = @_;
    my ($rc, $out, $err) = run({ env => { $pg->env(database => $database) },
        timeout => 60, dir => $dir }, $kong, @args);

    is($rc, 0, "$database: @args[0, 1]") or diag("$out$err");
}

sub database
{
    my ($name) = @_;

    $pg->create($name);
    kong($name, 'migrations', 'bootstrap', '-q');
}

# all rows as JSON; whose workspace a row is in is the database's, and when it
# was written is the writer's
sub rows_of
{
    my ($database) = @_;
    my $ws = $pg->query('SELECT id FROM workspaces', database => $database);

    return { map {
        $_ => [ split(/\n/, $pg->query("SELECT jsonb_strip_nulls(to_jsonb(t)
            - 'updated_at') FROM $_ t ORDER BY id", database => $database)
            =~ s/\Q$ws\E/ws/gr) ]
    } @TABLES };
}

sub same
{
    my ($is, $must, $name) = @_;

    for my $table (@TABLES) {
        my ($a, $b) = map { $_->{$table} } $is, $must;
        my @other = grep { ($a->[$_] || '') ne ($b->[$_] || '') }
                    0 .. (@$a > @$b ? $#$a : $#$b);

        is(scalar @other, 0, "$name: $table, " . @$b . ' rows')
            or diag(join("\n", map { ($a->[$_] || 'none') . "\n  must be "
                                     . ($b->[$_] || 'none') }
                               @other[0 .. ($#other > 2 ? 2 : $#other)]));
    }
}

# a real one has its own workspace
database('real');
my %tables = map { $_ => 1 } slurp($source) =~ /^INSERT INTO public\.(\w+) /mg;
$pg->query('TRUNCATE ' . join(', ', sort keys %tables) . ' CASCADE',
           database => 'real');
my ($rc, $out, $err) = $pg->psql(undef, file => $source, database => 'real',
    user => 'postgres',
    env => { PGOPTIONS => '-c session_replication_role=replica' });
is("$rc$err", '0', 'the rows of a real Kong') or diag($err);

kong('real', 'config', 'db_export', "$dir/real.yml");

database('second');
kong('second', 'config', 'db_import', "$dir/real.yml");

my $must = rows_of('real');
same(rows_of('second'), $must, 'imported');

kong('second', 'config', 'db_import', "$dir/real.yml");
same(rows_of('second'), $must, 'once more');

finish();
