# cors: preflight and other answers, origins of all kinds.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $upstream = echo_start();

my %cases = (
    any => {},
    empty => { origins => [] },
    star => { origins => ['*'], credentials => $true },
    one => { origins => ['http://one.test'], credentials => $true,
             exposed_headers => ['X-One', 'X-Two'] },
    list => { origins => ['http://a.test', 'https://b.test:443',
                          'http://c.test:8080', 'd.test'] },
    regex => { origins => ['^https?://(.+\\.)?a\\.test$'] },
    host => { origins => ['(x|y)\\.test', 'http://z.test'] },
    alt => { origins => ['http://a\\.test|http://b\\.test'] },
    mixed => { origins => ['http://a.test', '*'], credentials => $true },
    fields => { headers => ['X-A', 'X-B'], methods => ['GET', 'PUT'],
                max_age => 600, private_network => $true },
    part => { max_age => 0.5 },
    continue => { preflight_continue => $true },
    slow => { origins => ['^https://(a+)+$'] },
    ends => {},
);

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    plugins => [ { name => 'cors', config => { origins => ['http://g.test'] }
    } ],
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream/",
        routes => [ map { {
            name => $_, paths => ["/$_"],
            plugins => [ { name => 'cors', config => $cases{$_} },
                ($_ eq 'ends' ? { name => 'request-termination',
                    config => { status_code => 418 } } : ()) ]
        } } sort keys %cases ]
    } ]
});

my $acao = 'access-control-allow-origin';

sub get
{
    my ($path, $origin, %o) = @_;

    return $node->get($path, headers => {
        (defined $origin ? (Origin => $origin) : ()), %{ $o{headers} || {} }
    }, method => $o{method} || 'GET');
}

sub origin { return get(@_)->header($acao) }

sub preflight
{
    my ($path, $origin, %headers) = @_;

    return get($path, $origin, method => 'OPTIONS', headers => {
        'Access-Control-Request-Method' => 'PUT', %headers });
}

# --- answers of the upstream

my $a = get('/any', 'http://x.test');
is($a->header($acao), '*', 'any origin');
is($a->header('vary'), undef, 'no Vary');
is(origin('/any'), '*', 'without an origin too');
is(origin('/empty', 'http://x.test'), '*', 'an empty list is no list');

$a = get('/star', 'http://x.test');
is($a->header($acao), 'http://x.test', 'credentials: the origin itself');
is($a->header('access-control-allow-credentials'), 'true', 'and the header');
is($a->header('vary'), 'Origin', 'and Vary');
$a = get('/star');
is($a->header($acao), '*', 'credentials without an origin');
is($a->header('access-control-allow-credentials'), undef, 'not allowed');
is(origin('/star', ''), '*', 'an empty origin is none');

$a = get('/one', 'http://evil.test');
is($a->header($acao), 'http://one.test', 'one plain origin is always sent');
is($a->header('vary'), 'Origin', 'Vary');
is($a->header('access-control-allow-credentials'), 'true', 'credentials');
is($a->header('access-control-expose-headers'), 'X-One,X-Two', 'exposed');

$a = get('/one', 'http://one.test', headers => {
    'X-Echo-Headers' => 'Vary: Accept|Access-Control-Allow-Origin: *' });
is($a->header('vary'), 'Accept, Origin', 'the upstream\'s Vary stays');
is($a->header($acao), 'http://one.test', 'its origin does not');

is(origin('/list', 'http://a.test'), 'http://a.test', 'of several');
is(origin('/list', 'http://a.test:80'), 'http://a.test', 'default port');
is(origin('/list', 'https://b.test'), 'https://b.test', 'the list\'s too');
is(origin('/list', 'https://b.test:443'), 'https://b.test', 'both');
is(origin('/list', 'http://b.test'), undef, 'another scheme');
is(origin('/list', 'http://c.test:8080'), 'http://c.test:8080', 'a port');
is(origin('/list', 'http://c.test'), undef, 'the port is missing');
is(origin('/list', 'http://d.test'), undef, 'a plain host is no origin');
is(origin('/list', 'http://A.test'), undef, 'case matters');
is(origin('/list', 'http://u@a.test/path?q'), 'http://a.test',
   'what is no origin is normalised');
is(origin('/list', $_), undef, "no origin: $_")
    for 'null', 'a', 'http://', '//', 'http://a.test.evil', '://a.test',
        "http://a.test\x{c3}\x{a9}", 'http:a.test', 'x' x 4000;
is(origin('/list'), undef, 'none');
is(get('/list')->header('vary'), 'Origin', 'Vary even so');

$a = get('/list', 'http://evil.test', headers => {
    'X-Echo-Headers' => 'Access-Control-Allow-Origin: http://evil.test' });
is($a->header($acao), undef, 'the upstream\'s answer is not trusted');

is(origin('/regex', 'http://a.test'), 'http://a.test', 'regex');
is(origin('/regex', 'https://x.y.a.test'), 'https://x.y.a.test', 'sub-host');
is(origin('/regex', 'http://a.test.evil'), undef, 'anchored at the end');
is(origin('/regex', 'xhttp://a.test'), undef, 'and at the start');
is(origin('/regex', 'http://aXtest'), undef, 'an escaped dot');
is(origin('/host', 'http://x.test'), 'http://x.test', 'on the host alone');
is(origin('/host', 'https://y.test:99'), 'https://y.test:99', 'any port');
is(origin('/host', 'http://xx.test'), undef, 'the whole host');
is(origin('/host', 'http://z.test'), 'http://z.test', 'a plain one beside');
is(origin('/alt', 'http://b.test'), 'http://b.test', 'alternatives');
is(origin('/alt', 'http://a.test.evil'), undef, 'anchored as one');

$a = get('/mixed', 'http://x.test');
is($a->header($acao), 'http://x.test', '"*" among others');
like($a->header('vary'), qr/Origin/, 'varies');
is(origin('/mixed'), undef, 'but not without an origin');

my $t = now();
is(origin('/slow', 'https://' . 'a' x 4000 . 'b'), undef,
   'a regex that backtracks for ever');
cmp_ok(now() - $t, '<', 3, 'is stopped');

# --- preflight

$a = preflight('/any', 'http://x.test');
is($a->status, 200, 'preflight');
is($a->body, '', 'without a body');
is($a->header('content-length'), 0, 'of length 0');
is($a->header($acao), '*', 'origin');
is($a->header('access-control-allow-methods'),
   'GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT', 'all methods');
is($a->header('access-control-allow-headers'), undef, 'no headers asked');
is($a->header('access-control-max-age'), undef, 'no max age');
is($a->header('access-control-allow-private-network'), undef,
   'no private network');

is(preflight('/any', 'http://x.test', 'Access-Control-Request-Headers' =>
             'X-1, X-2')->header('access-control-allow-headers'), 'X-1, X-2',
   'the headers that are asked for');
is(preflight('/any', 'http://x.test',
             'Access-Control-Request-Private-Network' => 'true')
   ->header('access-control-allow-private-network'), undef,
   'private network is off');

$a = preflight('/fields', 'http://x.test',
               'Access-Control-Request-Headers' => 'X-1',
               'Access-Control-Request-Private-Network' => 'true');
is($a->header('access-control-allow-headers'), 'X-A,X-B', 'headers');
is($a->header('access-control-allow-methods'), 'GET,PUT', 'methods');
is($a->header('access-control-max-age'), '600', 'max age');
is($a->header('access-control-allow-private-network'), 'true',
   'private network');
is(preflight('/fields', 'http://x.test',
             'Access-Control-Request-Private-Network' => 'True')
   ->header('access-control-allow-private-network'), undef,
   'the word is "true"');
is(preflight('/part', 'http://x.test')->header('access-control-max-age'),
   '0.5', 'a fraction');

$a = preflight('/one', 'http://evil.test');
is($a->header($acao), 'http://one.test', 'preflight: one origin');
is($a->header('vary'), 'Origin', 'preflight: Vary');
is($a->header('access-control-expose-headers'), undef,
   'preflight: exposed headers are not told');
$a = preflight('/list', 'http://evil.test');
is($a->status, 200, 'preflight of another origin');
is($a->header($acao), undef, 'allows nothing');

$a = preflight('/continue', 'http://x.test');
is($a->json->{method}, 'OPTIONS', 'preflight_continue');
is($a->header($acao), undef, 'adds nothing');
is(origin('/continue', 'http://x.test'), '*', 'other requests have it');

is(get('/any', 'http://x.test', method => 'OPTIONS')->json->{method},
   'OPTIONS', 'OPTIONS without the asked method is none');
is(preflight('/any', undef)->json->{method}, 'OPTIONS',
   'without an origin neither');
is(preflight('/any', '')->json->{method}, 'OPTIONS',
   'nor with an empty one');

# --- other answers

is(get('/ends', 'http://x.test', method => 'HEAD')->header($acao), '*',
   'an answer of another plugin, to HEAD');
is(preflight('/ends', 'http://x.test')->status, 200,
   'preflight comes before');
$a = get('/none', 'http://x.test');
is($a->status, 404, 'no route');
is($a->header($acao), 'http://g.test', 'the global one');

my $r = $node->post_config({ _format_version => '3.0', plugins => [
    { name => 'cors', config => { origins => ['(unclosed'] } } ] });
is($r->status, 400, 'a regex that is none is refused');

finish();
