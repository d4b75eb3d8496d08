# Request targets that name a host, and what is answered when the host or the
# HTTP version leaves no room for the usual.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();

my $h2c = free_port();

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    services => [ { name => 'echo', url => "http://127.0.0.1:$upstream/base",
        routes => [
            { name => 'open', hosts => ['open.test'] },
            { name => 'closed', hosts => ['open.test'], paths => ['/admin'],
              plugins => [ { name => 'request-termination',
                             config => { status_code => 403 } } ] },
            { name => 'root', paths => ['/'], strip_path => JSON::PP::false() },
            { name => 'moved', paths => ['/moved'], protocols => ['https'],
              https_redirect_status_code => 301 },
            { name => 'tls', paths => ['/tls'], protocols => ['https'] },
        ] } ]
}, env => { KONG_NGINX_PROXY_LISTEN => "127.0.0.1:$h2c http2" });

sub raw
{
    my ($head) = @_;
    my $http = KongHttp->connect($node->{proxy});

    $http->send($head);

    return $http->answer;
}

# --- absolute-form: what is behind the host is the path, or the query

sub absolute
{
    my ($target, $host) = @_;

    return raw("GET $target HTTP/1.1\r\nHost: $host\r\n"
               . "Connection: close\r\n\r\n");
}

is(absolute('http://any.test/x?a=1', 'any.test')->up_uri, '/base/x?a=1',
   'absolute-form');
is(absolute('http://any.test', 'any.test')->up_uri, '/base', 'no path');

my $a = absolute('http://any.test?a=1', 'any.test');
is($a->status, 200, 'no path but a query: the path is "/"');
is($a->up_uri, '/base?a=1', 'and the query is one');
is($a->up('x-forwarded-path'), '/', 'X-Forwarded-Path');

is(absolute('http://open.test/admin', 'open.test')->status, 403,
   'a path that is closed');
is(absolute('http://open.test?/admin', 'open.test')->up_uri,
   '/base?/admin', 'is not reached as a query');
is(absolute('http://any.test?', 'any.test')->up_uri, '/base',
   'an empty query');

# --- no Host header: HTTP/1.0

$a = raw("GET /moved HTTP/1.0\r\n\r\n");
is($a->header('location'), 'https://kong/moved',
   'a redirect has a host, as X-Forwarded-Host has');

$a = raw("GET /tls HTTP/1.0\r\n\r\n");
is($a->status, 426, 'upgrade required');
is($a->header('upgrade'), 'TLS/1.2, HTTP/1.1', 'with its header');

# --- HTTP/2 has no such headers: clients take them for a broken stream

my ($rc, $out) = run('curl', '-s', '--http2-prior-knowledge', '-o',
    '/dev/null', '-w', '%{http_code}', "http://127.0.0.1:$h2c/tls");
is($rc, 0, 'HTTP/2: curl takes the answer');
is($out, 426, 'which is the same');

finish();
