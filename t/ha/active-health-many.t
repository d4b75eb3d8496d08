# A thousand targets, half of them dead, and a daemon that may open few files:
# each is found as it is, none is blamed for what the daemon lacks, and what
# nginx is told goes in batches.

use strict;
use warnings;

use KongBalancer;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $N = 1000;
my $FILES = 80;

my $port = free_port();
my $dead = free_port();
my $server = nginx_start('up', <<"END");
server {
    listen 127.0.0.1:$port;
    access_log @{[ temp_dir('up') ]}/seen combined;
    location / { return 200; }
}
END

my @names = map { "n$_.test" } 1 .. $N;
my $node = node_new(workers => 2,
    hosts => join('', map { "127.0.0.1 $_\n" } @names),
    config => balancer_config(big => {
        targets => [ map { [ "$names[$_]:" . ($_ % 2 ? $dead : $port) ] }
                     0 .. $N - 1 ],
        healthchecks => { active => {
            timeout => 5, concurrency => 100,
            healthy => { interval => 1, successes => 1 },
            unhealthy => { interval => 1, tcp_failures => 2, timeouts => 2,
                           http_failures => 2 }
        } }
    }));

my ($rc, $out, $err) = run({ env => $node->{env}, timeout => 60 }, 'sh', '-c',
    "ulimit -S -n $FILES; exec \"\$@\"", 'sh', build() . '/kong', 'start',
    '-p', $node->{prefix});
is($rc, 0, 'started') or diag($out . $err);
$node->{started} = 1;

sub health
{
    my %n;

    $n{$_->{health}}++ for @{ http("$node->{prefix}/sockets/control.sock",
                                   '/health?upstream=big')
                              ->json->[0]{addresses} };

    return join(' ', map { "$_ $n{$_}" } sort keys %n);
}

my $half = $N / 2;
my $all = "HEALTHY $half UNHEALTHY $half";

ok(wait_until(60, sub { health() eq $all }), 'half of them are down')
    or diag(health() . $node->logs);

like(slurp('/proc/' . $node->controld . '/limits'),
     qr/^Max open files\s+$FILES /m, 'with few descriptors');

# all of them, again and again
my $lines = () = slurp("$server->{dir}/seen") =~ /\n/g;
ok(wait_until(60, sub {
    (() = slurp("$server->{dir}/seen") =~ /\n/g) >= $lines + 5 * $half;
}), 'five more rounds');
is(health(), $all, 'nothing has changed');

# the daemon has other things to do with the files that are left
is($node->admin('/upstreams/big')->status, 200, 'the Admin API answers');
is(scalar(() = $node->error_log =~ /is unhealthy now/g), $half,
   'a line for each');
unlike($node->error_log, qr/some probes cannot be made/, 'all were made');
is($node->get('/big')->status, 200, 'served');

# everything comes back
kill_pid($server->{pid});
ok(wait_until(60, sub { health() eq "UNHEALTHY $N" }), 'all are down')
    or diag(health());
is($node->get('/big')->status, 503, 'nobody is left');
unlink("$server->{dir}/nginx.pid");
nginx_start('up', "server { listen 127.0.0.1:$port; listen 127.0.0.1:$dead;"
                  . ' location / { return 200; } }');
ok(wait_until(60, sub { health() eq "HEALTHY $N" }), 'all are up')
    or diag(health());

# an upstream that goes takes its probes along
is($node->post_config({ _format_version => '3.0' })->status, 201, 'gone');

finish();
