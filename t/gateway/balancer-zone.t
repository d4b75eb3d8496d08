# A zone too small for all targets: what finds no room is balanced without
# counters and health; no request fails, and the log says so once.

use strict;
use warnings;

use KongBalancer;
use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my $port = echo_start();
my $many = 4000;

my %all = (health => { targets => [ [ "127.0.0.1:$port" ] ],
                       healthchecks => { passive => { unhealthy => {
                           http_failures => 1 } } } });

for my $algorithm (qw(least-connections latency round-robin)) {
    $all{$algorithm} = {
        algorithm => $algorithm,
        healthchecks => { passive => { unhealthy => { timeouts => 9 } } },
        targets => [ [ "127.0.0.1:$port", 65535 ],
                     map { [ "127.1." . int($_ / 250) . '.' . ($_ % 250 + 1)
                             . ':1', 0 ] } 1 .. $many ]
    };
}

my $node = node_start(
    workers => 2, config => balancer_config(%all),
    env => { KONG_KONG_ZONE_SIZE => '256k' });

for my $name (sort keys %all) {
    my $bad = grep { $node->get("/$name")->status != 200 } 1 .. 20;
    is($bad, 0, "$name: no request fails");
}

my $said = () = $node->error_log =~ /kong_zone is full/g;
cmp_ok($said, '>=', 1, 'the log says so');
cmp_ok($said, '<=', 3, 'without repeating it');

is($node->post_config(balancer_config(%all, x => { targets => [] }))->status,
   201, 'the next configuration is served, too');
is($node->get('/latency')->status, 200, 'and used');

finish();
