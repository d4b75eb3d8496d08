# proxy-cache: what is kept, for whom and for how long; the memory's bound;
# the Admin API.

use strict;
use warnings;

use Digest::SHA 'sha256_hex';
use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $upstream = echo_start();

sub cached
{
    my ($name, $config, @more) = @_;

    return { name => $name, id => id($name), paths => ["/$name"],
             strip_path => $false,
             plugins => [ { name => 'proxy-cache', config => {
                 strategy => 'memory', content_type => ['application/json'],
                 %$config } }, @more ] };
}

sub id
{
    my $hex = unpack('H*', substr($_[0] . '0' x 16, 0, 8));

    return "00000000-0000-4000-8000-0000" . substr($hex, 0, 8);
}

my $node = node_start(workers => 2, env => {
    KONG_MEM_CACHE_SIZE => '512k',
}, config => {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [
            cached('plain', {}),
            cached('ttl', { cache_ttl => 1 }),
            cached('kept', { cache_ttl => 1, storage_ttl => 60 }),
            cached('long', { cache_ttl => 4_000_000_000 }),
            cached('cc', { cache_control => $true, storage_ttl => 60 }),
            cached('query', { vary_query_params => ['a'] }),
            cached('vary', { vary_headers => ['X-Lang'] }),
            cached('case', { ignore_uri_case => $true }),
            cached('quiet', { response_headers => { age => $false,
                'X-Cache-Status' => $false, 'X-Cache-Key' => $false } }),
            cached('codes', { response_code => [200, 206, 404, 502] }),
            cached('types', { content_type => ['text/*',
                'application/xml; charset=utf-8'] }),
            cached('post', { request_method => ['POST'] }),
            cached('who', {}, { name => 'key-auth',
                                config => { hide_credentials => $true } }),
            cached('host', {}),
            cached('dict', { memory => { dictionary_name => 'kong' } }),
            cached('limit', {}, { name => 'rate-limiting',
                                  config => { day => 100 } }),
        ]
    } ],
    consumers => [
        { username => 'a', keyauth_credentials => [ { key => 'ka' } ] },
        { username => 'b', keyauth_credentials => [ { key => 'kb' } ] },
    ],
});

my $n = 0;

# X-Cache-Status of a request; upstream answers with `echo` headers
sub state
{
    my ($path, $echo, %o) = @_;
    my %headers = %{ $o{headers} || {} };

    $headers{'X-Echo-Headers'} = $echo if defined $echo;

    my $a = $node->get($path, %o, headers => \%headers);

    return $a->header('x-cache-status') || "none";
}

sub twice
{
    my ($path, $echo, %o) = @_;

    return state($path, $echo, %o) . ' ' . state($path, $echo, %o);
}

# --- a hit is the answer that was kept

my $miss = $node->get('/plain', headers => {
    'X-Echo-Headers' => 'ETag: "e"|X-Own: 1|X-Own: 2|X-RateLimit-Remaining: 9'
});
my $hit = $node->get('/plain');

is($miss->header('x-cache-status'), 'Miss', 'first a miss');
is($hit->header('x-cache-status'), 'Hit', 'then a hit');
is($hit->body, $miss->body, 'the same body');
is($hit->header('content-length'), length $miss->body, 'its length');
is($hit->header('content-type'), 'application/json', 'its type');
is($hit->header('x-own'), '1, 2', 'its headers');
is($hit->header('etag'), '"e"', 'its ETag');
is($hit->header('x-ratelimit-remaining'), undef, 'but no such numbers');
like($hit->header('age'), qr/^\d$/, 'Age');
is($miss->header('age'), undef, 'not of a miss');
like($hit->header('via'), qr/kong/, 'Via, as proxied');
isnt($hit->header('x-kong-request-id'), $miss->header('x-kong-request-id'),
     'an id of its own');
is($hit->header('x-cache-key'),
   sha256_hex(id('plain') . '|GET|GET /plain HTTP/1.1||'), 'Kong\'s key');
is($node->get('/plain?b=2&a=x&a=1&c')->header('x-cache-key'),
   sha256_hex(id('plain') . '|GET|GET /plain|a=1,x:b=2:c|'),
   'with arguments');

is(state('/plain', undef, method => 'HEAD'), 'Miss', 'HEAD is apart');
my $head = $node->get('/plain', method => 'HEAD');
is($head->header('x-cache-status'), 'Hit', 'and kept');
cmp_ok($head->header('content-length'), '>', 10, 'with its length');
is(twice('/plain', undef, method => 'POST'), 'Bypass Bypass', 'no POST');

is($node->get('/plain', headers => { 'If-None-Match' => '"e"' })->status,
   304, 'a hit that the client has already');
$hit = $node->get('/plain', headers => { Range => 'bytes=0-3' });
is($hit->status, 200, 'a range of a hit: all of it');
is(length $hit->body, length $miss->body, 'complete');

my $chunks = { 'X-Echo-Chunked' => 1 };
is(twice('/plain/chunks', undef, headers => $chunks), 'Miss Hit', 'chunked');
is($node->get('/plain/chunks')->header('transfer-encoding'), undef,
   'a hit has a length');

# --- what is not kept

is(twice('/plain/t', 'Content-Type: text/css'), 'Bypass Bypass', 'type');
is(twice('/plain/u', 'Content-Type: application/json; charset=utf-8'),
   'Bypass Bypass', 'parameters count');
is(twice('/plain/c', 'Set-Cookie: a=b'), 'Bypass Bypass', 'a cookie');
is(twice('/plain/v', 'Vary: *'), 'Bypass Bypass', 'Vary: *');
is(twice('/plain/s', undef, headers => { 'X-Echo-Status' => 500 }),
   'Bypass Bypass', 'status');
is(twice('/plain/h', undef, headers => { 'X-Echo-Status' => 404 }),
   'Miss Hit', '404 is kept');
is(twice('/codes/p', 'Content-Range: bytes 0-1/9',
         headers => { 'X-Echo-Status' => 206 }),
   'Bypass Bypass', 'a part is never kept');
is(twice('/codes/e', undef, headers => { 'X-Echo-Close' => 'early' }),
   'Bypass Bypass', 'nor our own errors');
is(twice('/plain/half', undef, headers => { 'X-Echo-Close' => 'half' }),
   'Miss Miss', 'nor half an answer');
is(twice('/plain/big', undef, headers => { 'X-Echo-Size' => 2_000_000 }),
   'Miss Miss', 'nor one that is too large');

is(twice('/types/a', 'Content-Type: text/css'), 'Miss Hit', 'text/*');
is(twice('/types/b', 'Content-Type: application/xml;charset="UTF-8"'),
   'Miss Hit', 'with its parameter, however written');
is(twice('/types/c', 'Content-Type: application/xml'), 'Bypass Bypass',
   'not without');

is(state('/post', undef, method => 'POST', body => 'a'), 'Miss', 'POST');
is(state('/post', undef, method => 'POST', body => 'a'), 'Hit', 'the same');
is(state('/post', undef, method => 'POST', body => 'b'), 'Miss', 'another');
is(state('/post'), 'Bypass', 'GET is not configured');

# --- keys

is(twice('/query?a=1&b=1'), 'Miss Hit', 'vary_query_params');
is(state('/query?b=2&a=1'), 'Hit', 'others do not count');
is(state('/query?a=2'), 'Miss', 'those do');
is(state('/plain?x=1:y=2'), 'Miss', 'arguments that look');
is(state('/plain?x=1&y=2'), 'Miss', 'like others are not those');
is(state('/plain?y=2&x=1'), 'Hit', 'their order is nothing');

is(twice('/vary', undef, headers => { 'X-Lang' => 'de' }), 'Miss Hit',
   'vary_headers');
is(state('/vary', undef, headers => { 'X-Lang' => 'en' }), 'Miss', 'another');
is(state('/vary'), 'Miss', 'none');

is(state('/case/AB'), 'Miss', 'ignore_uri_case');
is(state('/plain/AB') . state('/plain/ab'), 'MissMiss', 'without it');

my %lang = map { $_ => { 'X-L' => $_ } } qw(de en);
is(twice('/plain/l', 'Vary: X-L', headers => $lang{de}), 'Miss Hit', 'Vary');
is(twice('/plain/l', 'Vary: X-L', headers => $lang{en}), 'Miss Hit',
   'another value');
is(state('/plain/l', undef, headers => $lang{de}), 'Hit', 'both are kept');

# --- nobody gets another's answer

my @who = map { { apikey => $_ } } qw(ka kb);
is(twice('/who', undef, headers => $who[0]), 'Miss Hit', 'a consumer');
is(twice('/who', undef, headers => $who[1]), 'Miss Hit', 'another');
like($node->get('/who', headers => $who[0])->up('x-consumer-username'),
     qr/^a$/, 'its own answer');
like($node->get('/who', headers => $who[1])->up('x-consumer-username'),
     qr/^b$/, 'and its own');
is(state('/who'), 'none', 'nobody gets none');
is(twice('/plain/z', undef, headers => { Authorization => 'Basic YTph' }),
   'Miss Hit', 'credentials that only the upstream knows');
is(state('/plain/z', undef, headers => { Authorization => 'Basic YjpiCg' }),
   'Miss', 'are not shared');
is(state('/plain/z'), 'Miss', 'nor given to those without');

# --- time

is(twice('/ttl'), 'Miss Hit', 'cache_ttl');
is(twice('/kept'), 'Miss Hit', 'storage_ttl');
is(twice('/cc/a', 'Cache-Control: max-age=1'), 'Miss Hit', 'max-age');
is(twice('/cc/s', 'Cache-Control: max-age=0, s-maxage=50'), 'Miss Hit',
   's-maxage');
nap(3.1);
is(state('/ttl'), 'Miss', 'gone');
is(state('/kept'), 'Refresh', 'stale');
is(state('/kept'), 'Hit', 'fresh again');
is(state('/cc/a', undef, headers => { 'Cache-Control' => 'max-stale=30' }),
   'Hit', 'max-stale: an old one will do');
is(state('/cc/a', undef, headers => { 'Cache-Control' => 'max-stale' }),
   'Hit', 'however old');
is(state('/cc/a', 'Cache-Control: max-age=60'), 'Refresh', 'else it will not');
is(state('/cc/s', 'Cache-Control: max-age=9',
         headers => { 'Cache-Control' => 'max-age=1' }),
   'Refresh', 'the client wants a fresher one');
is(state('/cc/a', undef, headers => { 'Cache-Control' => 'min-fresh=61' }),
   'Bypass', 'or one that stays fresh; this answer has no age');

for my $no ('no-store', 'no-cache', 'private', 'max-age=0', 'max-age=x',
            'private="a, b"')
{
    is(state('/cc/' . ++$n, "Cache-Control: $no"), 'Bypass', "$no");
}

is(twice('/cc/e', 'Expires: Thu, 01 Jan 2099 00:00:00 GMT'), 'Miss Hit',
   'Expires');
is(state('/cc/f', 'Expires: Thu, 01 Jan 1998 00:00:00 GMT'), 'Bypass', 'past');
is(state('/cc/e', undef, headers => { 'Cache-Control' => 'no-store' }),
   'Bypass', 'the client says no');
is(state('/cc/e', undef, headers => { Authorization => 'x' }), 'Bypass',
   'Authorization');
my $a = $node->get('/cc/none', headers => {
    'Cache-Control' => 'only-if-cached' });
is($a->status, 504, 'only-if-cached');
is($a->header('x-cache-status'), undef, 'says nothing of a cache');

# --- headers

$a = $node->get('/quiet');
$a = $node->get('/quiet');
is(join(' ', map { $a->header($_) || '-' }
        qw(age x-cache-status x-cache-key)), '- - -', 'response_headers');
is($node->get('/quiet', headers => { 'Kong-Debug' => 1 })
   ->header('x-cache-status'), 'Hit', 'Kong-Debug shows them');

$node->get('/limit');
is($node->get('/limit')->header('x-ratelimit-remaining-day'), 98,
   'other plugins\' headers are made anew');

# --- of a path, only so many variants: they are searched one by one

sub variant
{
    return state('/plain/variants', 'Vary: X-V',
                 headers => { 'X-V' => $_[0] });
}

is(join(' ', map { variant($_) } 1 .. 80), join(' ', ('Miss') x 80),
   'Vary with 80 values');
is(join(' ', map { variant($_) } 17 .. 80), join(' ', ('Hit') x 64),
   'the last ones are there');
is(variant(16), 'Miss', 'the first are not');

# --- the Admin API

my $key = $node->get('/plain')->header('x-cache-key');
$a = $node->admin("/proxy-cache/$key");
is($a->status, 200, 'an entry');
is($a->json->{status}, 200, 'its status');
is($a->json->{body_len}, length $miss->body, 'its length');
is($node->admin("/proxy-cache/" . id('p') . "/caches/$key")->status, 200,
   'by its plugin');
is($node->admin("/proxy-cache/$key", method => 'DELETE')->status, 204,
   'removed');
is($node->admin("/proxy-cache/$key", method => 'DELETE')->status, 404,
   'once');
is($node->admin("/proxy-cache/$key")->status, 404, 'it is gone');
is($node->admin("/proxy-cache/xyz")->status, 404, 'no such key');
is(state('/plain'), 'Miss', 'gone, indeed');
is($node->admin('/proxy-cache')->status, 405, 'no list');
is($node->admin('/proxy-cache', method => 'DELETE')->status, 204, 'flush');
is(state('/plain'), 'Miss', 'everything is gone');

is(state('/long'), 'Miss', 'a ttl of more than a century');
is(state('/long'), 'Hit', 'is one');

# --- another dictionary is the same memory; one that is none is refused

is(twice('/dict'), 'Miss Hit', 'a dictionary of Kong\'s');
$a = $node->post_config({ _format_version => '3.0', plugins => [
    { name => 'proxy-cache', config => { strategy => 'memory',
        memory => { dictionary_name => 'nope' } } } ] });
is($a->status, 400, 'an unknown one');
like($a->body, qr/missing shared dict 'nope'/, 'which is said');

# --- more answers than memory: the oldest go, nothing fails

my %seen;
my $c;

for my $i (1 .. 1500) {
    $c = KongHttp->connect($node->{proxy}) if $i % 500 == 1;
    $a = $c->request("/plain/$i");
    $seen{ $a->status . ' ' . $a->header('x-cache-status') }++;
}

is(join(' ', %seen), '200 Miss 1500', 'every one is answered');
is(state('/plain/1500'), 'Hit', 'the last is there');
is(state('/plain/1'), 'Miss', 'the first is not');

my @old = $node->worker_pids;
is(($node->reload)[0], 0, 'reload');
wait_until(20, sub { !grep { kill(0, $_) } @old });
is(state('/plain/1500'), 'Hit', 'which the cache survives');

finish();
