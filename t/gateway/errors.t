# What the gateway itself answers: no route, no service, dead and slow
# upstreams, redirects; the body's form by Accept.

use strict;
use warnings;

use IO::Socket::INET ();
use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $dead = free_port();
my $once = { retries => 0, connect_timeout => 300, read_timeout => 300 };

my $node = node_start(hosts => "127.0.0.1 localhost\n", config => {
    _format_version => '3.0',
    services => [
        { name => 'echo', url => "http://127.0.0.1:$upstream", %$once,
          routes => [
            { name => 'ok', paths => ['/ok'] },
            map { { name => "to$_", paths => ["/to$_"],
                    protocols => ['https'],
                    https_redirect_status_code => $_ + 0 } }
                426, 301, 302, 307, 308
          ] },
        { name => 'dead', url => "http://127.0.0.1:$dead", %$once,
          routes => [ { name => 'dead', paths => ['/dead'] } ] },
        { name => 'unknown', url => 'http://no-such-name.invalid', %$once,
          routes => [ { name => 'unknown', paths => ['/unknown'] } ] },
        { name => 'off', url => "http://127.0.0.1:$upstream",
          enabled => JSON::PP::false(),
          routes => [ { name => 'off', paths => ['/off'] } ] },
    ],
    routes => [ { name => 'bare', paths => ['/bare'] } ]
});

my $a = $node->get('/nothing');

is($a->status, 404, 'no route');
is($a->header('content-type'), 'application/json; charset=utf-8', 'as JSON');
my $text = 'no Route matched with those values';
like($a->body, qr/^\{\n  "message":"$text",\n  "request_id":"[0-9a-f]{32}"\n\}$/,
     'the body');
is($a->json->{request_id}, $a->header('x-kong-request-id'), 'its request id');
like($a->header('server'), qr{^\S+/\d}, 'Server is ours');
like($a->header('x-kong-response-latency'), qr/^\d+$/, 'response latency');
is($a->header('x-kong-upstream-latency'), undef, 'no upstream latency');
is($a->header('via'), undef, 'no Via');

my %type = (
    'application/json' => qr/^application\/json; charset=utf-8$/,
    'application/*' => qr/^application\/json/,
    '*/*' => qr/^application\/json/,
    'image/png' => qr/^application\/json/,
    'text/html' => qr/^text\/html; charset=utf-8$/,
    'text/plain' => qr/^text\/plain; charset=utf-8$/,
    'text/*' => qr/^text\/plain/,
    'application/xml' => qr/^application\/xml; charset=utf-8$/,
    'text/plain;q=0.5, application/xml;q=0.9' => qr/^application\/xml/,
    'text/html, */*;q=0.1' => qr/^text\/html/,
);

for my $accept (sort keys %type) {
    $a = $node->get('/nothing', headers => { Accept => $accept });
    like($a->header('content-type'), $type{$accept}, "Accept: $accept");
}

$a = $node->get('/nothing', headers => { Accept => 'text/plain' });
like($a->body, qr/^$text\nrequest_id: [0-9a-f]{32}\n$/, 'plain text');
$a = $node->get('/nothing', headers => { Accept => 'text/html' });
like($a->body, qr{<h1>Error</h1>\s*<p>$text\.</p>}, 'HTML');
$a = $node->get('/nothing', headers => { Accept => 'application/xml' });
like($a->body, qr{<error>\s*<message>$text</message>\s*<requestid>}, 'XML');

$a = $node->get('/nothing', method => 'HEAD');
is($a->status, 404, 'HEAD');

is($node->get('/off')->status, 404, 'routes of a disabled service');

$a = $node->get('/bare');
is($a->status, 503, 'a route without service');
is($a->json->{message}, 'no Service found with those values', 'the message');

$a = $node->get('/unknown');
is($a->status, 503, 'an unknown name');
is($a->json->{message}, 'name resolution failed', 'the message');

$a = $node->get('/dead');
is($a->status, 502, 'nobody listens');
like($a->body, qr/An invalid response was received from the upstream server/,
     'the message');
like($a->header('content-type'), qr{^text/plain}, 'nginx errors: plain text');

$a = $node->get('/dead', headers => { 'Content-Type' => 'application/json' });
like($a->header('content-type'), qr{^application/json},
     'unless the request has another type');
is($a->json->{message},
   'An invalid response was received from the upstream server', 'the message');

$a = $node->get('/ok', headers => { 'X-Echo-Delay' => 2000 });
is($a->status, 504, 'a slow upstream');
like($a->body, qr/The upstream server is timing out/, 'the message');

$a = $node->get('/ok', headers => { 'X-Echo-Close' => 'early' });
is($a->status, 502, 'an upstream that closes');

# https only
$a = $node->get('/to426');
is($a->status, 426, 'https only: 426');
is($a->json->{message}, 'Please use HTTPS protocol', 'the message');
like($a->header('connection') || '', qr/upgrade/i, 'Connection: Upgrade');
is($a->header('upgrade'), 'TLS/1.2, HTTP/1.1', 'Upgrade');

for my $code (301, 302, 307, 308) {
    $a = $node->get("/to$code/x?y=1", host => 'A.Example.com:8000');
    is($a->status, $code, "https only: $code");
    is($a->header('location'), "https://a.example.com/to$code/x?y=1",
       'where to');
    is($a->body, '', 'empty');
}

is($node->get_ssl('/to301/x')->status, 200, 'and over TLS it is served');

# what nginx refuses by itself takes the same form
sub raw
{
    my ($bytes) = @_;
    my $c = KongHttp->connect($node->{proxy});

    $c->send($bytes);

    return $c->answer;
}

$a = raw("GET / HTTP/1.1\r\n\r\n");
is($a->status, 400, 'no Host');
like($a->body, qr/Bad request/, 'the message');

$a = raw("GET /ok HTTP/1.1\r\nHost: a\r\nX-Big: " . 'x' x 40000 . "\r\n\r\n");
is($a->status, 400, 'a header too big');
like($a->body, qr/Request header or cookie too large/, 'the message');

$a = raw('GET /' . 'x' x 40000 . " HTTP/1.1\r\nHost: a\r\n\r\n");
is($a->status, 414, 'a URI too long');
like($a->body, qr/URI too long/, 'the message');

$a = raw("POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
         . "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
is($a->status, 400, 'two lengths');

is(raw("GET /ok HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")->status, 400,
   'two hosts');
is(raw("nonsense\r\n\r\n")->status, 400, 'no request at all');
is($node->get('/ok')->status, 200, 'and the node goes on');

finish();
