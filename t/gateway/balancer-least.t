# Least connections and latency: counts that all workers share, that go back
# when a request ends in whatever way, and when a worker is killed.

use strict;
use warnings;

use KongBalancer;
use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my @port = map { echo_start() } 1 .. 3;
my $slow = echo_start(delay => 120);
my $dead = free_port();
my $all = [ map { [ "127.0.0.1:$_" ] } @port ];

my %upstreams = (
    least => { algorithm => 'least-connections', targets => $all },
    double => { algorithm => 'least-connections',
                targets => [ [ "127.0.0.1:$port[0]", 200 ],
                             [ "127.0.0.1:$port[1]", 100 ] ] },
    dead => { algorithm => 'least-connections',
              targets => [ [ "127.0.0.1:$dead" ], @$all ] },
    latency => { algorithm => 'latency',
                 targets => [ [ "127.0.0.1:$slow" ], @$all ] },
    slow => { algorithm => 'least-connections',
              targets => [ [ "127.0.0.1:$slow" ], $all->[0] ] },
);

my $node = node_start(
    workers => 2, allow => qr/exited on signal 9/,
    config => balancer_config(%upstreams));

sub active
{
    my $t = balancer_targets($node, $_[0]);

    return { map { $_ => $t->{$_}{active} } keys %$t };
}

sub wait_active
{
    my ($name, $sum) = @_;

    return wait_until(5, sub {
        my $n = 0;
        $n += $_ for values %{ active($name) };
        $n == $sum;
    });
}

my %n = balancer_spread($node, '/least', 90);
is($n{$port[$_]}, 30, "idle targets take turns: $_") for 0 .. 2;
ok(wait_active('least', 0), 'nothing is under way');

# two busy targets: everything else goes to the third
my $held = balancer_hold($node, '/least', 2, 2500);
ok(wait_active('least', 2), 'two requests are counted');
my @busy = grep { active('least')->{$_} } @port;
is(scalar(@busy), 2, 'at two targets');
my ($idle) = grep { !active('least')->{$_} } @port;
%n = balancer_spread($node, '/least', 40);
is($n{$idle}, 40, 'the idle one gets the rest');

# a reload and a publish keep what is counted
my ($rc) = $node->reload;
is($rc, 0, 'reload');
wait_until(5, sub { $node->get('/least')->status == 200 });
is_deeply([ sort grep { active('least')->{$_} } @port ], [ sort @busy ],
          'a reload knows what is under way');
$upstreams{other} = { targets => $all };
is($node->post_config(balancer_config(%upstreams))->status, 201, 'publish');
is_deeply([ sort grep { active('least')->{$_} } @port ], [ sort @busy ],
          'and so does a publish');
balancer_release($held);
ok(wait_active('least', 0), 'they are over');

# weights
$held = balancer_hold($node, '/double', 9, 1500);
ok(wait_active('double', 9), 'nine requests');
is(active('double')->{$port[0]}, 6, 'two thirds go to twice the weight');
balancer_release($held);
ok(wait_active('double', 0), 'over');

# clients that go away, targets that refuse
$held = balancer_hold($node, '/least', 6, 3000);
ok(wait_active('least', 6), 'six requests');
close($_) for @$held;
ok(wait_active('least', 0), 'their clients went away');

my $bad = grep { $node->get('/dead')->status != 200 } 1 .. 40;
is($bad, 0, 'a dead target is not seen');
ok(wait_active('dead', 0), 'and not counted');

# a killed worker's requests are taken back
$held = balancer_hold($node, '/least', 12, 20000);
ok(wait_active('least', 12), 'twelve requests');
kill('KILL', $node->worker_pids);
ok(wait_active('least', 0), 'their workers were killed');
close($_) for @$held;
wait_until(5, sub { $node->get('/least')->status == 200 });

# under load a slow target gets less
$held = balancer_hold($node, '/slow', 1, 1);
balancer_release($held);
my @pids;
my $log = temp_dir() . '/spread';
for my $k (1 .. 6) {
    push @pids, spawn(sub {
        my %seen = balancer_spread($node, '/slow', 60);
        open(my $f, '>', "$log.$k");
        print $f map { "$_ $seen{$_}\n" } keys %seen;
        close($f);
    });
}
wait_until(20, sub { 6 == grep { -s "$log.$_" } 1 .. 6 });
nap(0.1);
my %sum;
for my $k (1 .. 6) {
    for (split /\n/, slurp("$log.$k") || '') {
        $sum{$1} += $2 if /^(\d+) (\d+)$/;
    }
}
cmp_ok($sum{$slow} || 0, '<', ($sum{$port[0]} || 0) / 2,
       'the slow target gets less: ' . join(' ', %sum));

# latency: once known, the slow one is left alone
balancer_spread($node, '/latency', 12);
%n = balancer_spread($node, '/latency', 60);
cmp_ok($n{$slow} || 0, '<=', 6, 'the slow target is avoided');
cmp_ok(scalar(keys %n), '>=', 3, 'the others share');

finish();
