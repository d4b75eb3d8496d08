# request-termination and redirect: answers that need no upstream.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $upstream = echo_start();

sub route
{
    my ($plugin, $name, $config, @more) = @_;

    return { name => $name, paths => ["/$name"], plugins => [
        { name => $plugin, config => $config }, @more ] };
}

sub term { return route('request-termination', @_) }

sub redir
{
    my ($name, $location, %config) = @_;

    return route('redirect', $name, { location => $location, %config });
}

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream/",
        routes => [
            term('plain', {}),
            term('message', { status_code => 404,
                              message => "gone \"fishing\"\n\xe9" }),
            term('body', { status_code => 202, body => '<a/>',
                           content_type => 'application/x-own' }),
            term('nothing', { status_code => 204 }),
            term('page', { status_code => 413 }),
            term('teapot', { status_code => 418 }),
            term('trigger', { trigger => 'X-Stop' }),
            term('echo', { echo => $true, status_code => 200,
                           message => 'hi' }),
            term('auth', {}, { name => 'key-auth' }),
            (map { term("s$_", { status_code => $_ }) }
             401, 405, 500, 502),
            redir('go', 'https://a.test/x?y=1#z'),
            redir('code', 'http://a.test', status_code => 308),
            redir('keep', 'https://a.test:8443/x?y=1#z',
                  keep_incoming_path => $true),
            redir('bare', 'http://a.test', keep_incoming_path => $true),
        ]
    } ],
});

my $json = 'application/json; charset=utf-8';

# --- request-termination

my $a = $node->get('/plain', headers => { Accept => 'text/html' });
is($a->status, 503, 'the default status');
is($a->body, '{"message":"Service unavailable"}', 'its text, always JSON');
is($a->header('content-type'), $json, 'its type');
is($a->header('server'), 'kong/3.9.1', 'an answer of ours');
ok(defined $a->header('x-kong-response-latency'), 'with its latency');

is($node->get('/plain', method => 'POST', body => 'x' x 100_000)->status, 503,
   'a body goes nowhere');
is($node->get('/plain', method => 'OPTIONS')->status, 503, 'OPTIONS');
$a = $node->get('/plain', method => 'HEAD');
is($a->status . $a->header('content-length'), '503' . 33, 'HEAD');

is($node->get('/message')->json->{message}, "gone \"fishing\"\n\xe9",
   'a message is escaped');
$a = $node->get('/body');
is($a->status . $a->body . $a->header('content-type'), '202<a/>application/x-own',
   'status_code, body and content_type');
is($node->get('/nothing')->body, '', 'no text for 204');
is($node->get('/page', headers => { Accept => 'application/json' })->json
   ->{message}, 'Payload too large', 'without a text, the status\'s page');
is($node->get('/teapot')->status . $node->get('/teapot')->body, '418',
   'or none');

my %texts = (401 => 'Unauthorized', 405 => 'Method not allowed',
             500 => 'An unexpected error occurred', 502 => 'Bad Gateway');
is($node->get("/s$_")->json->{message}, $texts{$_}, "text of $_") for sort keys %texts;

is($node->get('/trigger')->status, 200, 'no trigger');
is($node->get('/trigger', headers => { 'x-stop' => '' })->status, 503,
   'a header, however written and empty');
is($node->get('/trigger?X-Stop')->status, 503, 'an argument');
is($node->get('/trigger?a=X-Stop')->status, 200, 'not a value');
is($node->get('/auth')->status, 401, 'authentication comes first');

$a = $node->get('/echo/x%41?a=1&b&a=2', method => 'POST', body => 'p=1&q=+',
    host => 'Host.test:1', headers => [
        [ 'Content-Type', 'application/x-www-form-urlencoded' ],
        [ 'X-A', 1 ], [ 'X-A', "\"\xc3\xa9" ] ]);
my $echo = $a->json;
is($echo->{message}, 'hi', 'echo: the message');
like($echo->{kong}{node_id}, qr/^[0-9a-f-]{36}$/, 'the node');
cmp_ok($echo->{kong}{worker_pid}, '>', 1, 'the worker');
my $r = $echo->{request};
is($r->{method} . $r->{scheme} . $r->{host} . $r->{path},
   'POSThttphost.test/echo/xA', 'the request');
is($r->{port}, $node->{proxy}, 'its port');
is_deeply($r->{query}, { a => [1, 2], b => $true }, 'its arguments');
is_deeply($r->{headers}{'x-a'}, [1, "\"\xe9"], 'its headers');
is_deeply($r->{body}, { p => 1, q => ' ' }, 'its body');
is($r->{raw_body}, 'p=1&q=+', 'as it came');
is($echo->{matched_route}{name} . $echo->{matched_service}{name}, 'echoecho',
   'where it would have gone');
is_deeply($node->get('/echo', method => 'POST', body => '{"a":[1]}',
          headers => { 'Content-Type' => 'application/json' })->json
          ->{request}{body}, { a => [1] }, 'a JSON body');

# --- redirect

$a = $node->get('/go/there?a=b');
is($a->status, 301, 'redirect');
is($a->header('location'), 'https://a.test/x?y=1#z', 'as configured');
is($a->body, 'redirecting', 'its body');
is($a->header('content-type'), 'text/plain; charset=UTF-8', 'its type');
is($node->get('/code')->status, 308, 'status_code');
is($node->get('/keep/a%20b?c=d')->header('location'),
   'https://a.test:8443/keep/a%20b?c=d#z', 'keep_incoming_path');
is($node->get('/keep/%0d%0aX-Evil:1')->header('location'),
   'https://a.test:8443/keep/%0D%0AX-Evil:1#z', 'nothing gets out of it');
is($node->get('/bare')->header('location'), 'http://a.test/bare', 'no query');
is($node->get('/bare//evil.test/..//x')->header('location'),
   'http://a.test/bare/x', 'the normalised path');
is($node->get('/go', method => 'HEAD')->header('location'),
   'https://a.test/x?y=1#z', 'HEAD');

finish();
