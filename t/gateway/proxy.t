# Proxying: what reaches the upstream and what comes back; bodies of all
# kinds, methods, headers that must not pass, keepalive on both sides.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream/base",
        routes => [
            { name => 'a', paths => ['/a'] },
            { name => 'host', paths => ['/host'],
              preserve_host => JSON::PP::true() },
            { name => 'stream', paths => ['/stream'],
              request_buffering => JSON::PP::false(),
              response_buffering => JSON::PP::false() },
        ]
    } ]
});

my $a = $node->get('/a/x?y=1', host => 'example.com');

is($a->status, 200, 'a request');
is($a->up_uri, '/base/x?y=1', 'its path');
is($a->up('host'), "127.0.0.1:$upstream", 'Host of the service');
is($a->up('x-forwarded-for'), '127.0.0.1', 'X-Forwarded-For');
is($a->up('x-real-ip'), '127.0.0.1', 'X-Real-IP');
is($a->up('x-forwarded-proto'), 'http', 'X-Forwarded-Proto');
is($a->up('x-forwarded-host'), 'example.com', 'X-Forwarded-Host');
is($a->up('x-forwarded-port'), $node->{proxy}, 'X-Forwarded-Port');
is($a->up('x-forwarded-path'), '/a/x', 'X-Forwarded-Path');
is($a->up('x-forwarded-prefix'), '/a', 'X-Forwarded-Prefix');
is($a->up('connection'), 'keep-alive', 'Connection');
like($a->up('via'), qr{^1\.1 \S+/\d+\.\d+}, 'Via');
like($a->up('x-kong-request-id'), qr/^[0-9a-f]{32}$/, 'the request id');
is($a->up('x-kong-request-id'), $a->header('x-kong-request-id'),
   'the client gets the same');
like($a->header('via'), qr{^1\.1 \S+/\d+\.\d+}, 'Via to the client');
like($a->header('x-kong-proxy-latency'), qr/^\d+$/, 'proxy latency');
like($a->header('x-kong-upstream-latency'), qr/^\d+$/, 'upstream latency');
is($a->header('x-kong-response-latency'), undef, 'no response latency');
is($a->header('server'), 'echo', 'Server of the upstream');

is($node->get('/host', host => 'Example.com:99')->up('host'),
   'Example.com:99', 'preserve_host keeps Host as it came');

# forwarded headers of a client that nobody trusts
$a = $node->get('/a', headers => {
    'X-Forwarded-For' => '9.9.9.9', 'X-Forwarded-Proto' => 'https',
    'X-Forwarded-Host' => 'evil', 'X-Forwarded-Port' => '1',
    'X-Forwarded-Path' => '/evil', 'X-Forwarded-Prefix' => '/evil',
    'X-Real-IP' => '9.9.9.9', Via => '1.0 other'
});
is($a->up('x-forwarded-for'), '9.9.9.9, 127.0.0.1', 'X-Forwarded-For grows');
is($a->up('x-forwarded-proto'), 'http', 'the others are ours: proto');
is($a->up('x-forwarded-host'), '127.0.0.1', 'host');
is($a->up('x-forwarded-port'), $node->{proxy}, 'port');
is($a->up('x-forwarded-path'), '/a', 'path');
is($a->up('x-forwarded-prefix'), '/a', 'prefix');
is($a->up('x-real-ip'), '127.0.0.1', 'X-Real-IP');
like($a->up('via'), qr{^1\.0 other, 1\.1 }, 'Via grows');

# hop-by-hop headers stay here; others pass even when Connection names them
$a = $node->get('/a', method => 'POST', body => 'abc', headers => [
    [ 'Connection', 'close, X-Drop, Content-Length, Host, TE' ],
    [ 'X-Drop', '1' ], [ 'Keep-Alive', '5' ], [ 'Proxy', 'evil' ],
    [ 'Proxy-Connection', 'x' ], [ 'TE', 'trailers' ], [ 'X-Keep', '1' ],
    [ 'Upgrade', 'h2c' ],
]);
is($a->status, 200, 'a hostile Connection header');
is($a->json->{body}, 'abc', 'the body arrives, whatever Connection names');
is($a->up('host'), "127.0.0.1:$upstream", 'Host stays');
is($a->up('x-drop'), undef, 'a header named in Connection goes');
is($a->up('proxy'), undef, 'Proxy goes');
is($a->up('proxy-connection'), undef, 'Proxy-Connection goes');
is($a->up('keep-alive'), undef, 'Keep-Alive goes');
is($a->up('upgrade'), undef, 'a foreign Upgrade goes');
is($a->up('x-keep'), 1, 'others stay');

# bodies
for my $path ('/a', '/stream') {
    my $body = join('', map { chr(32 + $_ % 90) } 1 .. 70000);

    $a = $node->get($path, method => 'POST', body => $body);
    is($a->json->{body}, $body, "$path: 70 kB with Content-Length");

    my $chunked = join('', map { sprintf("%x\r\n%s\r\n", length $_, $_) }
                       unpack('(a5000)*', $body)) . "0\r\n\r\n";
    $a = $node->get($path, method => 'PUT', body => $chunked,
                    headers => { 'Transfer-Encoding' => 'chunked' });
    is($a->json->{body}, $body, "$path: 70 kB in chunks");

    $a = $node->get($path, headers => { 'X-Echo-Size' => 300000 });
    is(length $a->body, 300000, "$path: 300 kB back");

    $a = $node->get($path, headers => { 'X-Echo-Chunked' => 1 });
    is($a->status, 200, "$path: chunks back");
    is($a->json->{method}, 'GET', "$path: whole");
}

for my $method (qw(GET POST PUT PATCH DELETE OPTIONS PROPFIND X-OWN)) {
    is($node->get('/a', method => $method)->json->{method}, $method, $method);
}

$a = $node->get('/a', method => 'HEAD');
is($a->status, 200, 'HEAD');
ok($a->header('content-length') > 0, 'with a length');
is($a->body, '', 'without a body');

for my $status (201, 204, 304, 404, 500, 503) {
    is($node->get('/a', headers => { 'X-Echo-Status' => $status })->status,
       $status, "status $status passes");
}

$a = $node->get('/a', headers => {
    'X-Echo-Headers' => 'Set-Cookie: a=1|Set-Cookie: b=2|X-Up: z|Via: 1.1 up'
});
is($a->header('set-cookie'), 'a=1, b=2', 'headers of the answer');
is($a->header('x-up'), 'z', 'all of them');
like($a->header('via'), qr{^1\.1 up, 1\.1 }, 'Via of the answer grows');

$a = $node->get('/a', headers => [ [ 'X-M', '1' ], [ 'X-M', '2' ],
                                   [ 'X-Empty', '' ] ]);
is($a->up('x-m'), '1, 2', 'repeated headers');
is($a->up('x-empty'), '', 'an empty header');

# a client that waits for 100
my $c = KongHttp->connect($node->{proxy});
$c->send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
         . "Expect: 100-continue\r\n\r\n");
like($c->read_to("\r\n\r\n") || '', qr{^HTTP/1\.1 100 }, '100 Continue');
$c->send('abc');
is($c->answer->json->{body}, 'abc', 'and then the body');

# HTTP/1.0
$a = $node->get('/a/old', version => '1.0');
is($a->up_uri, '/base/old', 'an HTTP/1.0 client');

# one connection to the client, one to the upstream
$c = KongHttp->connect($node->{proxy});
my %seen;

for my $n (1 .. 10) {
    my $r = $c->request("/a/$n", headers => { 'X-Echo-Connection' => 1 });
    $seen{$r->json->{connection}}++ if $r->json;
}

is(scalar keys %seen, 1, 'upstream connections are kept');
is((values %seen)[0], 10, 'for all requests');

# pipelined requests
$c = KongHttp->connect($node->{proxy});
$c->send(join('', map { "GET /a/p$_ HTTP/1.1\r\nHost: a\r\n\r\n" } 1 .. 5));
is($c->answer->up_uri, "/base/p$_", "pipelined $_") for 1 .. 5;

# the upstream closes amid its answer
$a = $node->get('/a', headers => { 'X-Echo-Close' => 'half',
                                   'X-Echo-Size' => 1000 });
ok($a->status == 200 && $a->{truncated} || $a->status == 502,
   'half an answer is no whole one');

finish();
