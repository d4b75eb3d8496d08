# Several nodes, one database, many small transactions at full speed, while
# daemons and the database are killed: no node serves what was not committed,
# and in the end all serve what a node that starts anew reads.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongPg;
use KongRows;
use KongTest;
use Test::More;

pg_skip();

srand($ENV{KONG_TEST_SEED} || 42);

my $pg = pg_new();
my $rows = rows_new($pg, upstream => echo_start());

# every commit gives both services the same path, and as many routes as the
# number at its end says
$rows->service('t', port => 1);
$rows->sql('UPDATE services SET port = (SELECT max(port) FROM services), '
           . "path = '/v0'");
$rows->route('s');
$rows->route('t', service => 't');

my @nodes = map {
    node_start(env => { $pg->env }, workers => 1)
} 1 .. 3;

# both paths of one generation: read until it was the same before and after
sub torn
{
    my ($node) = @_;

    for (1 .. 20) {
        my $before = $node->status->{configuration}{generation};
        my ($s, $t) = map { $node->get($_)->up_uri } qw(/s /t);
        my $after = $node->status->{configuration}{generation};

        next if !defined $before || !defined $after || $before != $after;

        return ($s || '') ne ($t || '') ? "$s $t" : '';
    }

    return '';
}

my @torn;
my $version = 0;

for my $round (1 .. 12) {
    my $sql = '';

    for (1 .. 60) {
        $version++;
        my $id = uuid_of('x' . int(rand(40)));
        my $way = int(rand(3));

        $sql .= "BEGIN; UPDATE services SET path = '/v$version' "
            . "WHERE name = 's';\n";
        $sql .= $way == 0 ? "DELETE FROM routes WHERE id = '$id';\n"
            : "INSERT INTO routes (id, ws_id, name, paths, protocols, "
            . "service_id) SELECT '$id', ws_id, '$id', '{/x/$version}', "
            . "'{http}', id FROM services WHERE name = 's' "
            . "ON CONFLICT (id) DO UPDATE SET paths = EXCLUDED.paths;\n";
        $sql .= "UPDATE services SET path = '/v$version' "
            . "WHERE name = 't'; COMMIT;\n";
    }

    my $file = spit(temp_dir() . "/storm$round.sql", $sql);
    my ($rc, undef, $err) = $pg->psql(undef, file => $file);
    is($rc, 0, "round $round") or diag($err);

    push @torn, grep { $_ ne '' } map { torn($_) } @nodes;

    my $victim = $nodes[rand(@nodes)];

    if ($round % 3 == 1) {
        my $daemon = $victim->controld;
        kill('KILL', $daemon);
        wait_until(5, sub { !alive($daemon) });
        $victim->reload;

    } elsif ($round % 4 == 2) {
        $pg->restart('QUIT');
    }
}

is("@torn", '', 'no half of a transaction was served');

my $last = '/v' . $version;

for my $node (@nodes) {
    ok(wait_until(15, sub {
        ($node->get('/s')->up_uri || '') eq $last
    }), 'the last change is served');
}

my $fresh = node_start(env => { $pg->env });
my $hash = $fresh->status->{configuration}{hash};
my $routes = $fresh->status->{configuration}{routes};

is($routes, $pg->query('SELECT count(*) FROM routes'), 'every row');

for my $node (@nodes) {
    ok(wait_until(10, sub {
        $node->status->{configuration}{hash} eq $hash
    }), 'the same configuration as that of a new node')
        or diag($node->status->{configuration}{hash} . " is not $hash");
}

finish();
