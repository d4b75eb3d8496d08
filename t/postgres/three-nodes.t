# Three nodes on one database that is changed at full speed by two programs
# and by `kong config db_import`, while nodes, their daemons and workers, and the database are killed at
# random: no node ever serves a state that was not committed, none goes back
# to an earlier one, and in the end all of them serve exactly what the
# database holds.

use strict;
use warnings;

use KongNode;
use KongPg;
use KongTest;
use KongWatch;
use Test::More;

pg_skip();

my $SLOTS = 8;
my $SECONDS = $ENV{KONG_TEST_LONG} ? 300 : 30;
my $seed = $ENV{KONG_TEST_SEED} || time;

srand($seed);
diag("KONG_TEST_SEED=$seed");

my $pg = pg_new();
my $rows = KongWatch::states_new($pg, slots => $SLOTS);
my @nodes = map {
    node_start(env => { $pg->env },
               allow => qr/worker process \d+ exited on signal 9/)
} 1 .. 3;
my @watch = map {
    watch_start($_->{proxy}, slots => $SLOTS, rate => 200)
} @nodes;
my @restarts = (0, 0, 0);
my @done;

sub change_count { return $pg->query('SELECT n FROM test.current') }


# --- changes by the command line, one after the other

my $imports = temp_dir() . '/imports';

sub import_file
{
    my ($n) = @_;

    return spit(temp_dir() . '/import.json', json_encode({
        _format_version => '3.0',
        services => [ {
            name => 'imported', host => '127.0.0.1', path => "/i$n",
            port => $pg->query("SELECT port FROM services
                                WHERE name = 'w'") + 0,
            routes => [ { name => 'imported', paths => ['/imported'] } ],
            plugins => [ { name => 'correlation-id', instance_name => 'i',
                           config => { header_name => "X-I$n" } } ],
        } ],
        consumers => [ map { {
            username => "imported$_", custom_id => "i$_-$n",
            basicauth_credentials => [ { username => "i$_",
                                         password => "p$n" } ],
        } } 1 .. 3 ],
    }));
}

# which one is on its way is noted before, that it is there afterwards
sub importer
{
    return spawn(sub {
        for my $n (1 .. 1e6) {
            my $file = eval { import_file($n) };

            if (!defined $file) {
                nap(0.1);                # the database is away
                next;
            }

            spit("$imports.begun", $n);
            my ($rc) = run({ env => { $pg->env }, timeout => 60 },
                           build() . '/kong', 'config', 'db_import', $file);
            spit("$imports.done", $n) if $rc == 0;
        }
    });
}

sub imported { return slurp("$imports.$_[0]") || 0 }

# what each node serves of it: never one that was not begun, none that is
# older than what it served before, but for a restart
my @seen = (0, 0, 0);
my @bad;

sub look
{
    my ($i) = @_;
    my $a = $nodes[$i]->get('/imported');
    my ($n) = $a->body =~ m{^/i(\d+) };
    my $begun = imported('begun');

    return if !defined $n;

    push @bad, "node $i: $n, begun $begun" if $n > $begun;
    push @bad, "node $i: $n after $seen[$i]" if $n < $seen[$i];
    $seen[$i] = $n;
}


# --- what happens to them

my %events = (
    worker => sub {
        my ($i) = @_;
        my @pids = $nodes[$i]->worker_pids;

        kill('KILL', $pids[rand @pids]) if @pids;
    },
    daemon => sub {
        my ($i) = @_;
        my $daemon = $nodes[$i]->controld;

        kill('KILL', $daemon);
        wait_until(5, sub { !alive($daemon) });
        nap(rand(1));

        # as its supervisor does it
        my ($rc, $out, $err) = $nodes[$i]->reload;
        is($rc, 0, 'the daemon is replaced') or diag("$out$err");
    },
    node => sub {
        my ($i) = @_;

        $nodes[$i]->note_processes;
        $nodes[$i]->kill_all;
        $restarts[$i]++;
        $seen[$i] = 0;
        nap(rand(1));

        my ($rc, $out, $err) = $nodes[$i]->start;
        is($rc, 0, 'the node starts again') or diag("$out$err");
    },
    database => sub {
        $pg->stop((qw(INT QUIT KILL))[rand 3]);
        nap(rand(2));
        $pg->start;
    },
    connections => sub {
        $pg->admin('SELECT pg_terminate_backend(pid) FROM pg_stat_activity '
                   . "WHERE application_name = 'kong'");
    },
    pause => sub {
        $pg->pause;
        nap(rand(3));
        $pg->resume;
    },
    both => sub {
        my ($i) = @_;

        $pg->stop('KILL');
        $nodes[$i]->note_processes;
        $nodes[$i]->kill_all;
        $restarts[$i]++;
        $seen[$i] = 0;

        my ($rc, $out, $err) = $nodes[$i]->start;
        is($rc, 0, 'the node starts without the database')
            or diag("$out$err");
        $pg->start;
    },
);

my @writers = (importer(),
               map { states_writer($pg, tag => $_, pause => 0) } 'a', 'b');
my @names = sort keys %events;
my $end = now() + $SECONDS;

# each of them once, in some order, then any
my @order = sort { $a->[1] <=> $b->[1] } map { [ $_, rand ] } @names;

while (now() < $end || @order) {
    my $name = @order ? (shift @order)->[0] : $names[rand @names];
    my $i = int(rand(@nodes));

    push @done, "$name $i";
    $events{$name}->($i);
    my $next = now() + 0.3 + rand(1);

    while (now() < $next) {
        look($_) for 0 .. 2;
        nap(0.02);
    }
}

ok(wait_until(20, sub { change_count() > 1000 }), 'a thousand changes');
ok(wait_until(30, sub { imported('done') > 10 }), 'imports got through');
kill_pid($_) for @writers;
is("@bad", '', 'what was imported was served in its order');
ok(wait_until(5, sub {
    $pg->admin("SELECT count(*) FROM pg_stat_activity
                WHERE query ~ 'test.change|json_populate_recordset|COMMIT'
                AND state <> 'idle' AND pid <> pg_backend_pid()") == 0
}), 'the writers are gone');
note(change_count() . ' changes, ' . imported('done') . " imports; @done");


# --- in the end

my $version = KongWatch::current($pg);
my $history = KongWatch::history($pg);
my $slots = $history->{$version};

is(scalar keys %$history, change_count(), 'each change is in the history');

for my $i (0 .. 2) {
    my $node = $nodes[$i];

    ok(wait_until(2, sub { $watch[$i]->last_of($version) }),
       "node $i serves the last state")
        or diag("served " . $watch[$i]->last_version . ", not $version\n"
                . "@done\n" . $node->logs);

    for my $slot (map { "slot$_" } 1 .. $SLOTS) {
        my $a = $node->get("/$slot");
        my $is = $a->status == 404 ? 'none'
                 : join(' ', $a->body, $a->header('X-Answer') || '');
        my $must = defined $slots->{$slot} ? "$slots->{$slot} $version "
                                             . $version : 'none';
        is($is, $must, "node $i: $slot");
    }
}

# the one under way may have been committed or not
my $last = $pg->query("SELECT path FROM services WHERE name = 'imported'");
is($pg->query("SELECT count(*) FROM consumers
               WHERE custom_id LIKE 'i%-" . substr($last, 2) . "'"), 3,
   'an import is whole');

for my $i (0 .. 2) {
    ok(wait_until(5, sub {
        $nodes[$i]->get('/imported')->body =~ m{^\Q$last\E }
    }), "node $i: the last import");
}

my $fresh = node_start(env => { $pg->env });
my $hash = $fresh->status->{configuration}{hash};

like($hash, qr/^(?!0{32})[0-9a-f]{32}$/, 'a new node has a hash');
is($nodes[$_]->status->{configuration}{hash}, $hash, "node $_ has the same")
    for 0 .. 2;

# a node that was killed whole starts with the last state that it had saved
for my $i (0 .. 2) {
    $watch[$i]->stop;
    my @seen = $watch[$i]->seen;
    my @torn = grep { $_->[2] =~ /^torn/ } @seen;

    cmp_ok(scalar @seen, '>', 500, "node $i: " . @seen . ' states seen');
    is(scalar @torn, 0, "node $i: every answer was of one state")
        or diag(join("\n", map { "@$_" } @torn[0 .. ($#torn > 4 ? 4
                                                     : $#torn)]));
    $watch[$i]->is_committed("node $i", history => $history,
                             back => $restarts[$i]);
}

finish();
