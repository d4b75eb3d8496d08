# correlation-id: generators, what a client sends, the echo.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $uuid = qr/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;

my %cases = (
    default => {},
    echo => { echo_downstream => JSON::PP::true() },
    uuid => { generator => 'uuid', header_name => 'X-Cid',
              echo_downstream => JSON::PP::true() },
    tracker => { generator => 'tracker' },
    ends => { echo_downstream => JSON::PP::true() },
);

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    plugins => [ { name => 'correlation-id', config => {
        header_name => 'X-Global', generator => 'uuid',
        echo_downstream => JSON::PP::true() } } ],
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream/",
        routes => [ map { {
            name => $_, paths => ["/$_"],
            plugins => [
                { name => 'correlation-id', config => $cases{$_} },
                ($_ eq 'ends' ? { name => 'request-termination',
                    config => { status_code => 418 } } : ())
            ]
        } } sort keys %cases ]
    } ]
});

my $a = $node->get('/default');
my ($worker, $n) = $a->up('kong-request-id') =~ /^($uuid)#(\d+)$/;

ok(defined $worker, 'uuid#counter is the default');
is($a->header('kong-request-id'), undef, 'no echo');
is($node->get('/default')->up('kong-request-id'),
   "$worker#" . ($n + 1), 'the next one');

$a = $node->get('/default', headers => { 'kong-request-id' => 'mine' });
is($a->up('kong-request-id'), 'mine', 'the client\'s is kept');

$a = $node->get('/default', headers => { 'kong-request-id' => '' });
like($a->up('kong-request-id'), qr/^$worker#/, 'an empty one is not');

$a = $node->get('/echo', headers => [ [ 'Kong-Request-ID', 'one' ],
                                      [ 'Kong-Request-ID', 'two' ] ]);
is($a->header('kong-request-id'), 'one', 'of two the first is echoed');

$a = $node->get('/echo');
is($a->header('kong-request-id'), $a->up('kong-request-id'), 'the echo');

$a = $node->get('/echo', headers => { 'Kong-Request-ID' => "\x{c3}\x{a9}" });
is($a->header('kong-request-id'), "\x{c3}\x{a9}", 'any bytes');

$a = $node->get('/uuid');
like($a->up('x-cid'), qr/^$uuid$/, 'uuid');
is($a->header('x-cid'), $a->up('x-cid'), 'in a header of its own name');
isnt($node->get('/uuid')->up('x-cid'), $a->up('x-cid'), 'another request');

like($node->get('/tracker')->up('kong-request-id'),
     qr/^127\.0\.0\.1-$node->{proxy}-\d+-\d+-1-\d+\.\d{3}$/, 'tracker');

my $conn = KongHttp->connect($node->{proxy});
$conn->request('/tracker');
like($conn->request('/tracker')->up('kong-request-id'), qr/-2-\d+\.\d{3}$/,
     'tracker: the second request of its connection');

$a = $node->get('/ends', method => 'HEAD');
is($a->status, 418, 'a plugin answers');
like($a->header('kong-request-id'), qr/^$worker#/, 'echo on its answer');

$a = $node->get('/ends', method => 'OPTIONS', headers =>
                { 'Kong-Request-ID' => 'mine' });
is($a->header('kong-request-id'), 'mine', 'of the client\'s too');

$a = $node->get('/none');
is($a->status, 404, 'no route');
like($a->header('x-global'), qr/^$uuid$/, 'the global one echoes there');

finish();
