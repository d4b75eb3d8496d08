# /status and /status/ready on the Admin and Status listeners, GET /, and
# that the Admin API says so when the daemon is away.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $node = node_start(workers => 2);
my $empty = '0' x 32;

my $a = $node->admin('/status');
is($a->status, 200, '/status');
like($a->header('content-type'), qr{^application/json}, 'JSON');

my $s = $a->json;
for my $name (qw(accepted active handled reading waiting writing)) {
    like($s->{server}{"connections_$name"}, qr/^\d+$/, "connections_$name");
}
like($s->{server}{total_requests}, qr/^\d+$/, 'total_requests');
is(ref $s->{memory}, 'HASH', 'memory');
is($s->{configuration_hash}, $empty, 'the hash of an empty configuration');

$a = http($node->{status}, '/status');
is($a->status, 200, 'on the Status listener too');

$a = http($node->{status}, '/status/ready');
is($a->status, 503, 'not ready without a configuration');
is($a->json->{message},
   'no configuration available (empty configuration present)', 'why');

is($node->post_config(<<"END")->status, 201, 'a configuration');
_format_version: "3.0"
services:
- name: s
  url: http://127.0.0.1:$upstream
  routes:
  - name: r
    paths: [/r]
END

$s = $node->status;
like($s->{configuration_hash}, qr/^[0-9a-f]{32}$/, 'its hash');
isnt($s->{configuration_hash}, $empty, 'is another');

$a = http($node->{status}, '/status/ready');
is($a->status, 200, 'ready');
is($a->json->{message}, 'ready', 'says so');

my $before = $node->status->{server}{total_requests};
$node->get('/r') for 1 .. 20;
cmp_ok($node->status->{server}{total_requests}, '>=', $before + 20,
       'requests are counted');

$a = $node->admin('/');
is($a->status, 200, 'GET /');
my $j = $a->json || {};
like($j->{version}, qr/^3\.\d+\.\d+/, 'version');
is(($j->{configuration} || {})->{database}, 'off', 'configuration.database');
is(($j->{configuration} || {})->{router_flavor}, 'traditional_compatible',
   'configuration.router_flavor');
is(ref(($j->{plugins} || {})->{available_on_server}), 'HASH', 'plugins');
like($j->{node_id}, qr/^[0-9a-f-]{36}$/, 'node_id');
is($j->{node_id}, slurp("$node->{prefix}/kong.id") =~ s/\s//gr,
   'is that of the prefix');

is($node->admin('/nosuch')->status, 404, 'an unknown path');
is($node->admin('/nosuch')->json->{message}, 'Not found', 'the message');
is($node->admin('/config', method => 'DELETE')->status, 405,
   'a method that is not allowed');

# a hung daemon, then a dead one
kill('STOP', $node->controld);
is(http($node->{admin}, '/status', timeout => 3)->status, 200,
   '/status with a hung daemon');
is($node->get('/r')->status, 200, 'traffic too');
kill('CONT', $node->controld);

kill('KILL', $node->controld);
wait_until(5, sub { !alive($node->controld) });
is($node->admin('/status')->status, 200, '/status with a dead daemon');
is(http($node->{status}, '/status/ready')->status, 200, 'still ready');

$a = $node->admin('/');
is($a->status, 503, 'the Admin API says that it is away');
ok(defined(($a->json || {})->{message}), 'in JSON');

finish();
