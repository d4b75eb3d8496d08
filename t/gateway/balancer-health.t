# Passive health checks: what counts, when a target is left alone, how it
# comes back, the threshold, and that all workers, reloads and publishes know.

use strict;
use warnings;

use KongBalancer;
use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my @port = map { echo_start() } 1 .. 3;
my $dead = free_port();

sub checks
{
    my ($unhealthy, %more) = @_;

    return {
        targets => [ map { [ "127.0.0.1:$_" ] } @port[0 .. 1] ],
        healthchecks => { passive => {
            healthy => { successes => 2 },
            unhealthy => { http_statuses => [ 500, 503 ], %$unhealthy }
        }, %{ delete $more{healthchecks} || {} } },
        %more
    };
}

my %upstreams = (
    http => checks({ http_failures => 3 }),
    tcp => checks({ tcp_failures => 1 },
                  targets => [ [ "127.0.0.1:$dead" ],
                               [ "127.0.0.1:$port[0]" ] ]),
    timeout => checks({ timeouts => 2 },
                      service => { read_timeout => 200, retries => 0 },
                      targets => [ [ "127.0.0.1:$port[0]" ] ]),
    threshold => checks({ http_failures => 1 },
                        healthchecks => { threshold => 60 },
                        targets => [ map { [ "127.0.0.1:$_" ] } @port ]),
    hash => checks({ http_failures => 1 }, hash_on => 'header',
                   hash_on_header => 'X-Key',
                   targets => [ map { [ "127.0.0.1:$_" ] } @port ]),
    off => { targets => [ [ "127.0.0.1:$port[0]" ] ] },
);

my $node = node_start(workers => 2, config => balancer_config(%upstreams));

sub state_of
{
    my ($name, $port) = @_;

    return balancer_targets($node, $name)->{$port}{health};
}

# n answers of this status from that port, one of two that take turns; what
# else is asked for is a 404, which is neither a success nor a failure
sub answers
{
    my ($name, $port, $n, $status) = @_;
    my $next = 0;

    for (1 .. 100) {
        my $at = balancer_at($node->get("/$name", headers => {
                     'X-Echo-Status' => $next ? $status : 404 }));

        $n-- if $next && $at eq $port;
        last if $n == 0;
        $next = ($at ne $port);
    }
}

is(state_of('off', $port[0]), 'HEALTHCHECKS_OFF', 'checks are off');
is(state_of('http', $port[0]), 'HEALTHY', 'healthy at first');

# statuses
answers('http', $port[0], 2, 500);
is(state_of('http', $port[0]), 'MOSTLY_HEALTHY', 'two failures of three');
answers('http', $port[0], 2, 200);
is(state_of('http', $port[0]), 'HEALTHY', 'two successes forgive them');
answers('http', $port[0], 2, 500);
answers('http', $port[0], 1, 404);
is(state_of('http', $port[0]), 'MOSTLY_HEALTHY', '404 says nothing');
is(balancer_health($node, upstream => 'http',
                   address => "127.0.0.1:$port[0]", state => 'healthy'), 204,
   'set healthy');
answers('http', $port[0], 3, 503);
is(state_of('http', $port[0]), 'UNHEALTHY', 'three failures');
is(state_of('http', $port[1]), 'HEALTHY', 'the other one is well');

my %n = balancer_spread($node, '/http', 40);
is($n{$port[1]}, 40, 'it is left alone, by all workers');

# reload and publish
is(($node->reload)[0], 0, 'reload');
wait_until(5, sub { $node->get('/http')->status == 200 });
is(state_of('http', $port[0]), 'UNHEALTHY', 'a reload knows');
$upstreams{http}{targets} = [ map { [ "127.0.0.1:$_" ] } @port[0 .. 2] ];
is($node->post_config(balancer_config(%upstreams))->status, 201, 'publish');
is(state_of('http', $port[0]), 'UNHEALTHY', 'so does another configuration');
%n = balancer_spread($node, '/http', 20);
is($n{$port[0]}, undef, 'still nothing');
is($n{$port[1]}, 10, 'the others share');

# back again
is(balancer_health($node, upstream => 'http',
                   address => "127.0.0.1:$port[0]", state => 'healthy'), 204,
   'set healthy');
%n = balancer_spread($node, '/http', 30);
is($n{$port[0]}, 10, 'it is used again at once');

# connections that are refused: one is enough, nobody sees it
my $bad = grep { $node->get('/tcp')->status != 200 } 1 .. 10;
is($bad, 0, 'retries hide it');
is(state_of('tcp', $dead), 'UNHEALTHY', 'a refused connection');

# time-outs, all targets down, recovery through reports of probes
for (1 .. 2) {
    is($node->get('/timeout', headers => { 'X-Echo-Delay' => 1000 })->status,
       504, 'a time-out');
}
is(state_of('timeout', $port[0]), 'UNHEALTHY', 'two are enough');
my $a = $node->get('/timeout');
is($a->status, 503, 'nobody is left');
is($a->json->{message}, 'failure to get a peer from the ring-balancer',
   'the message');
is(balancer_health($node, upstream => 'timeout', state => 'healthy'), 204,
   'all of an upstream');
is($node->get('/timeout')->status, 200, 'back');

# the threshold: one of three down is 66 %, two are 33 %
balancer_health($node, upstream => 'threshold', state => 'unhealthy',
                address => "127.0.0.1:$port[0]");
is($node->get('/threshold')->status, 200, 'above the threshold');
balancer_health($node, upstream => 'threshold', state => 'unhealthy',
                address => "127.0.0.1:$port[1]");
is($node->get('/threshold')->status, 503, 'below');
balancer_health($node, upstream => 'threshold', state => 'healthy',
                address => "127.0.0.1:$port[1]");
is($node->get('/threshold')->status, 200, 'above again');

# hashing walks past what is down, and comes back
my %to = map { $_ => balancer_at($node->get('/hash',
               headers => { 'X-Key' => $_ })) } 1 .. 40;
balancer_health($node, upstream => 'hash', state => 'unhealthy',
                address => "127.0.0.1:$port[0]");
my %with = map { $_ => balancer_at($node->get('/hash',
                 headers => { 'X-Key' => $_ })) } 1 .. 40;
is(scalar(grep { $to{$_} ne $port[0] && $to{$_} ne $with{$_} } keys %to), 0,
   'only what was there has moved');
is(scalar(grep { $_ eq $port[0] } values %with), 0, 'away from it');
balancer_health($node, upstream => 'hash', state => 'healthy');
%with = map { $_ => balancer_at($node->get('/hash',
              headers => { 'X-Key' => $_ })) } 1 .. 40;
is_deeply(\%with, \%to, 'everything is as before');

# the control socket's answers
is(balancer_health($node, upstream => 'nobody', state => 'healthy'), 404,
   'no such upstream');
is(balancer_health($node, upstream => 'http', address => '10.0.0.1:1',
                   state => 'healthy'), 404, 'no such address');
is(balancer_health($node, upstream => 'off', state => 'healthy'), 400,
   'no health checks');

finish();
