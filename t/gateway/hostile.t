# Requests that try to get more out of the gateway than they may: headers
# that plugins set, named in Connection; line ends in what templates write;
# framing that two readers would read in two ways.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $nobody = '00000000-0000-4000-8000-00000000000a';
my $upstream = echo_start();

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream", routes => [
            { name => 'plain', paths => ['/plain'] },
            { name => 'who', paths => ['/who'], plugins => [
                { name => 'key-auth', config => { anonymous => $nobody } },
                { name => 'correlation-id',
                  config => { header_name => 'X-Corr' } },
                { name => 'request-transformer', config => {
                    add => { headers => [ 'X-Added:yes',
                        'X-Arg:$(query_params.a)' ] } } } ] },
            { name => 'uri', paths => ['~/uri/(?<rest>(?s:.*))'], plugins => [
                { name => 'request-transformer', config => {
                    replace => { uri => '/x/$(uri_captures.rest)' } } } ] },
            { name => 'cache', paths => ['/cache'], plugins => [
                { name => 'proxy-cache', config => { strategy => 'memory',
                    cache_ttl => 300,
                    content_type => ['application/json'] } } ] },
        ]
    } ],
    consumers => [
        { id => $nobody, username => 'nobody' },
        { username => 'ann', custom_id => 'ann-1',
          keyauth_credentials => [ { key => 'secret' } ] },
    ],
});

# --- Connection must not take away what a plugin tells the upstream

my $named = 'X-Anonymous-Consumer, X-Consumer-Username, X-Consumer-ID, '
            . 'X-Consumer-Custom-ID, X-Credential-Identifier, X-Corr, '
            . 'X-Added, X-Own';
my $a = $node->get('/who', headers => [ [ Connection => $named ],
                                        [ 'X-Own' => 1 ] ]);

is($a->up('x-anonymous-consumer'), 'true',
   'who is anonymous stays so, whatever Connection names');
is($a->up('x-consumer-username'), 'nobody', 'and has its name');
isnt($a->up('x-corr'), undef, 'the correlation id');
is($a->up('x-added'), 'yes', 'an added header');
is($a->up('x-own'), undef, 'the client\'s own header goes');

$a = $node->get('/who', headers => [ [ Connection => $named ],
                                     [ apikey => 'secret' ] ]);
is($a->up('x-consumer-username'), 'ann', 'a consumer, too');
is($a->up('x-consumer-custom-id'), 'ann-1', 'with its id');

$a = $node->get('/plain', headers => [
    (map { [ Connection => "X-Drop-$_" ] } 1 .. 7),
    (map { [ "X-Drop-$_" => 1 ] } 1 .. 7) ]);
is($a->up("x-drop-$_"), undef, "Connection header $_ of many") for 1 .. 7;

# --- who somebody is says the gateway, also where it does not ask

my @who = map { [ $_ => 'root' ] } qw(X-Consumer-ID X-Consumer-Username
    X-Consumer-Custom-ID X-Consumer-Groups X-Consumer-Anything
    X-Credential-Identifier X-Anonymous-Consumer);

$a = $node->get('/plain', headers => [ @who, [ 'X-Consumer' => 1 ],
                                       [ 'X-Credentials' => 1 ] ]);
is($a->up($_->[0]), undef, "$_->[0] of a client") for @who;
is($a->up('x-consumer'), 1, 'what only looks like it passes');
is($a->up('x-credentials'), 1, 'so does this');

$a = $node->get('/who', headers => [ @who, [ apikey => 'secret' ] ]);
is($a->up('x-consumer-username'), 'ann', 'with a plugin: its own');
is($a->up('x-consumer-groups'), undef, 'and nothing else');

# --- line ends

$a = $node->get('/who?a=1%0d%0aX-Evil:%201');
is($a->up('x-evil'), undef, 'no header from a template');
is($a->up('x-arg'), '1%0D%0AX-Evil: 1', 'its line ends are escaped');

$a = $node->get('/uri/a%20HTTP/1.1%0d%0aX-Evil:%201%0d%0a');
is($a->up('x-evil'), undef, 'no header from a path');
like($a->up_uri || '', qr{^/x/a%20HTTP/1\.1%0D%0A}, 'escaped again');

# --- framing

sub raw
{
    my ($text) = @_;
    my $c = KongHttp->connect($node->{proxy});

    $c->send($text);

    return $c->answer->status;
}

my $post = "POST /plain HTTP/1.1\r\nHost: a\r\n";

is(raw("${post}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
       . "0\r\n\r\n"), 400, 'Content-Length and Transfer-Encoding');
is(raw("${post}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), 400,
   'two Content-Lengths');
is(raw("${post}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400,
   'the same one twice');
is(raw("${post}Transfer-Encoding: chunked\r\n"
       . "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400,
   'two Transfer-Encodings');
is(raw("${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501,
   'an unknown coding');
is(raw("${post}X-A: 1\r\n Content-Length: 3\r\n\r\nabc"), 400,
   'a folded header');
is(raw("${post}Content-Length : 3\r\n\r\nabc"), 400,
   'a space before the colon');

# --- cost: that of a request grows with its length, not with its square

sub ticks
{
    my ($worker) = $node->worker_pids;
    my @field = split(/ /, slurp("/proc/$worker/stat"));

    return $field[13] + $field[14];
}

my @names = map { my $x = $_; map { "$x$_" } 'a' .. 'z', 'A' .. 'Z' }
            'a' .. 'z', 'A' .. 'Z';
my $query = join('&', @names[0 .. 2500]);
my $before = ticks();

$node->get("/cache?$query") for 1 .. 20;
cmp_ok(ticks() - $before, '<', 40, 'thousands of arguments in a cache key');

is($node->get('/none', headers => [
    (map { [ Accept => 'x/' . $_ . ';q=0.5' ] } 1 .. 900),
    [ Accept => 'text/html' ] ])->header('content-type'),
   'text/html; charset=utf-8', 'hundreds of Accept headers');

finish();
