# Upgrade: websocket goes through and carries bytes both ways; any other
# upgrade does not.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $node = node_start(config => {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream/u",
        routes => [ { name => 'ws', paths => ['/ws'] } ]
    } ]
});

my $c = KongHttp->connect($node->{proxy});
my $a = $c->request('/ws/chat', host => 'w.test', headers => {
    Upgrade => 'websocket', Connection => 'keep-alive, Upgrade',
    'Sec-WebSocket-Key' => 'eA==', 'Sec-WebSocket-Version' => 13
});

is($a->status, 101, 'switching protocols');
is($a->header('upgrade'), 'websocket', 'Upgrade');
like($a->header('connection') || '', qr/upgrade/i, 'Connection');
is($a->header('x-echo-uri'), '/u/chat', 'the path');
like($a->header('x-echo-seen'), qr/(?:^|,)upgrade=websocket(?:,|$)/,
     'the upstream was asked to upgrade');
like($a->header('x-echo-seen'), qr/sec-websocket-key=eA==/, 'its headers');

for my $size (1, 10, 5000, 100000) {
    my $bytes = join('', map { chr(int(rand(256))) } 1 .. $size);

    $c->send($bytes);
    my $back = $c->read_bytes($size);
    ok(defined $back && $back eq $bytes, "$size bytes there and back");
}

# it outlives a new configuration
is($node->post_config({ _format_version => '3.0' })->status, 201,
   'an empty configuration');
is($node->get('/ws')->status, 404, 'is live');
$c->send('still here');
is($c->read_bytes(10), 'still here', 'the open connection stays');
$c->close;

finish();
