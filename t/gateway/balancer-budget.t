# The retry budget and the panic threshold, which a node sets in its
# kong.conf.

use strict;
use warnings;

use KongBalancer;
use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my @port = map { echo_start() } 1 .. 3;
my $dead = free_port();
my $stuck = free_port();

my $checks = {
    passive => { unhealthy => { http_failures => 1,
                                http_statuses => [ 500 ] } }
};

# accepts, and never answers
my $silent = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1',
                 LocalPort => $stuck, ReuseAddr => 1) or die;

my $config = balancer_config(
    panic => { targets => [ map { [ "127.0.0.1:$_" ] } @port ],
               healthchecks => $checks },
    strict => { targets => [ map { [ "127.0.0.1:$_" ] } @port ],
                healthchecks => { %$checks, threshold => 50 } },
    dead => { targets => [ [ "127.0.0.1:$dead" ],
                           [ "127.0.0.1:$port[0]" ] ] },
    stuck => { targets => [ [ "127.0.0.1:$stuck" ] ],
               service => { read_timeout => 700, retries => 3 } },
);

my $node = node_start(workers => 1, config => $config, env => {
    KONG_NGINX_UPSTREAM_KONG_PANIC => 50,
    KONG_NGINX_UPSTREAM_KONG_RETRY_BUDGET => '0 2'
});

sub down
{
    balancer_health($node, upstream => $_[0], state => 'unhealthy',
                    address => "127.0.0.1:$_") for @_[1 .. $#_];
}

down('panic', $port[0]);
my %n = balancer_spread($node, '/panic', 30);
is($n{$port[0]}, undef, 'one of three is down: it is left alone');
down('panic', $port[1]);
%n = balancer_spread($node, '/panic', 30);
is($n{$_}, 10, "two of three are down: all are used, $_") for @port;
down('panic', $port[2]);
%n = balancer_spread($node, '/panic', 30);
is($n{$_}, 10, "all are down: all are used, $_") for @port;

down('strict', $port[0], $port[1]);
is($node->get('/strict')->status, 503, 'the threshold goes first');

# one request at a time is always tried again
my $bad = grep { $node->get('/dead')->status != 200 } 1 .. 10;
is($bad, 0, 'retries within the budget');

# eight at once that all time out: two of them are tried four times, the
# others once
my $start = now();
my $held = balancer_hold($node, '/stuck', 8, 0);
my @took;
for my $s (reverse @$held) {
    1 while sysread($s, my $bytes, 65536);
    push @took, now() - $start;
}
is(scalar(grep { $_ < 1.4 } @took), 6, 'six are not tried again')
    or diag("@took");

finish();
