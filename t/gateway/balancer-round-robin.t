# Upstreams and their targets: weights, names, Host headers, retries at
# another address, and what is answered when nobody can be asked.

use strict;
use warnings;

use KongBalancer;
use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my @port = map { echo_start() } 1 .. 4;
my $dead = free_port();

my $node = node_start(
    workers => 2,
    hosts => "127.0.0.1 one.test two.test\n::1 one.test\n",
    config => balancer_config(
        even => { targets => [ map { [ "127.0.0.1:$_" ] } @port[0 .. 2] ] },
        weighted => { targets => [ [ "127.0.0.1:$port[0]", 700 ],
                                   [ "127.0.0.1:$port[1]", 200 ],
                                   [ "127.0.0.1:$port[2]", 100 ],
                                   [ "127.0.0.1:$port[3]", 0 ] ] },
        named => { targets => [ [ "one.test:$port[0]", 10 ],
                                [ "two.test:$port[1]", 10 ] ] },
        header => { host_header => 'example.com',
                    targets => [ [ "one.test:$port[0]", 10 ] ] },
        ported => { host_header => 'example.com:99',
                    targets => [ [ "one.test:$port[0]", 10 ] ] },
        retry => { targets => [ [ "127.0.0.1:$dead" ],
                                [ "two.test:$port[1]" ] ] },
        none => { targets => [] },
        zero => { targets => [ [ "127.0.0.1:$port[0]", 0 ] ] },
        lost => { targets => [ [ "nobody.invalid:80" ] ] },
        half => { targets => [ [ "nobody.invalid:80" ],
                               [ "127.0.0.1:$port[0]" ] ] },
    ));

my %n = balancer_spread($node, '/even', 300);
is($n{$port[$_]}, 100, "equal weights: $_") for 0 .. 2;

%n = balancer_spread($node, '/weighted', 400);
is($n{$port[0]}, 280, 'weight 700 of 1000');
is($n{$port[1]}, 80, 'weight 200');
is($n{$port[2]}, 40, 'weight 100');
is($n{$port[3]}, undef, 'weight 0');

%n = balancer_spread($node, '/named', 40);
is($n{$port[0]}, 20, 'a name');
is($n{$port[1]}, 20, 'another name of the same address');

is($node->get('/even')->status, 200, 'a target');
like($node->get('/even')->up('host'), qr/^127\.0\.0\.1:\d+$/,
     'Host is the address');
is($node->get('/header')->up('host'), "example.com:$port[0]", 'host_header');
is($node->get('/ported')->up('host'), 'example.com:99',
   'host_header with a port');
is($node->get('/preserve/header', host => 'client.test:1')->up('host'),
   'client.test:1', 'preserve_host');

my %host;
$host{$node->get('/named')->up('host')}++ for 1 .. 20;
is_deeply(\%host, { "one.test:$port[0]" => 10, "two.test:$port[1]" => 10 },
          'Host is the name of the target');

my $bad = grep {
    my $a = $node->get('/retry', $_ % 2 ? () : (method => 'POST', body => 'x'));
    $a->status != 200 || $a->up('host') ne "two.test:$port[1]"
} 1 .. 40;
is($bad, 0, 'a retry goes to another address with its Host');

for my $name (qw(none zero lost)) {
    my $a = $node->get("/$name");

    is($a->status, 503, "$name: status");
    is($a->json->{message}, 'failure to get a peer from the ring-balancer',
       "$name: message");
}

is($node->get('/half')->status, 200, 'a target that does not resolve');

# upstreams come and go with their configuration
is($node->post_config(balancer_config(
       even => { targets => [ [ "127.0.0.1:$port[3]" ] ] }))->status, 201,
   'other targets');
%n = balancer_spread($node, '/even', 10);
is($n{$port[3]}, 10, 'are used at once');

finish();
