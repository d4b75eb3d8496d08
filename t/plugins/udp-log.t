# udp-log: a datagram a record; host, port, timeout, custom_fields_by_lua;
# nobody who listens, and too much for a datagram.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongLog;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $sink = sink_new('udp');
my $named = sink_new('udp');
my $nobody = free_port();

sub udp_log
{
    my ($port, %config) = @_;

    return [ { name => 'udp-log', config => {
        host => '127.0.0.1', port => $port, %config } } ];
}

my %plugins = (
    plain => udp_log($sink->{port}, timeout => 100, custom_fields_by_lua => {
        big => 'return kong.request.get_header("x-big") and ("x"):rep(70000)'
               . ' or nil' }),
    named => udp_log($named->{port}, host => 'logs.test'),
    nobody => udp_log($nobody),
    unknown => udp_log($nobody, host => 'unknown.test'),
);

my $node = node_start(
    workers => 2, hosts => "127.0.0.1 logs.test\n",
    config => log_config($upstream, %plugins));

$node->get("/plain/$_") for 1 .. 20;
my @r = $sink->wait(20);
is(scalar @r, 20, 'a datagram each');
is_deeply([ sort { $a <=> $b } map { $_->{request}{uri} =~ /(\d+)$/ } @r ],
          [ 1 .. 20 ], 'all of them');

$node->get('/named');
is(($named->wait(1))[0]{route}{name}, 'named', 'a host that has a name');

is($node->get('/nobody')->status, 200, 'nobody listens') for 1 .. 20;
is($node->get('/unknown')->status, 200, 'a name that is not known') for 1, 2;
like($node->error_log, qr/udp-log: "unknown\.test": .*not be resolved/,
     'the log says so');

is($node->get('/plain', headers => { 'X-Big' => 1 })->status, 200, 'too long');
ok(wait_until(5, sub { $node->error_log =~ /too long for a datagram/ }),
   'is told');
$node->get('/plain/after');
is(($sink->wait(21))[20]{request}{uri}, '/plain/after', 'the next one comes');

finish();
