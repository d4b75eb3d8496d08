# request-transformer: every field, the order of the work, templates and what
# holds them back.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();

# a route a configuration: its path is the name
my %cases = (
    plain => {},
    remove => { remove => {
        headers => ['X-A', 'host', 'x-b:ignored'],
        querystring => ['a', 'b:x'], body => ['f', 'n'] } },
    rename => { rename => {
        headers => ['X-A:X-New', 'x-case:X-CASE', 'host:X-Host'],
        querystring => ['a:z'], body => ['f:ff'] } },
    'rename-host' => { rename => { headers => ['x-a:host'] } },
    replace => { replace => {
        headers => ['x-a:R', 'x-none:R', 'host:other.test:81', 'x_u:U'],
        querystring => ['a:R', 'none:R'], body => ['f:R', 'none:R'] } },
    add => { add => {
        headers => ['X-A:A', 'host:no', 'x-empty:', 'x-colons::c:d'],
        querystring => ['a:A', 'q:x y&z'], body => ['f:A', 'h:H'] } },
    append => { append => {
        headers => ['X-A:P', 'X-New:P', 'X-New:Q', 'host:no'],
        querystring => ['a:P', 'n:P'], body => ['f:P', 'h:P'] } },
    all => { remove => { headers => ['x-a'] }, rename => {
        headers => ['x-b:x-a'] }, replace => { headers => ['x-a:R'] },
        add => { headers => ['x-b:B'] }, append => { headers => ['x-a:Z'] } },
    fixed => { replace => { headers => ['x-forwarded-for:1.1.1.1',
        'content-length:5', 'connection:x', 'x-real-ip:2.2.2.2'] },
        append => { headers => ['x-forwarded-proto:https', 'via:x'] } },
    put => { http_method => 'PUT' },
    get => { http_method => 'GET' },
    tohead => { http_method => 'HEAD' },
    weird => { http_method => 'BREW' },
    uri => { replace => { uri => '/re placed/%41$(headers.x_a)' } },
    baduri => { replace => { uri => '$(headers.x_a)' } },
    captures => { add => { headers => [
        'x-id:$(uri_captures.id)', 'x-one:$(uri_captures[1])',
        'x-all:$(uri_captures[0])', 'x-two:[$(uri_captures[2])]',
        'x-lua:$((uri_captures.id or "none"):upper())' ] } },
    lookups => { add => { headers => [
        'x-h:$(headers.x_a)|$(headers["X-A"])|$(headers.none)',
        'x-q:$(query_params.a)|$(query_params["b c"])|$(query_params.bare)',
        'x-many:$(query_params.m)',
        'x-same:$(headers.x_a or "no")|$(query_params.bare or "no")'
        . '|$(query_params.m or "no")' ] } },
    lua => { add => { headers => [
        'x-type:$(type(headers.x_a))-$(type(query_params))-$(type(nil))',
        'x-fn:$((function() local n = 0 for i = 1, 10 do n = n + i end '
        . 'return n end)())',
        'x-sub:$(headers.x_a:sub(2, 3))-$(("a,b"):gsub(",", ";"))',
        'x-find:$((("key=val"):find("=")))-$(("k=v"):match("=(.*)"))',
        'x-multi:$(headers.x_m[2])', 'x-bool:$(true)$(false)$(1.5)',
        'x-shared:$(type(shared))', 'x-dollar:$5 $x $((' ] } },
    snapshot => { remove => { headers => ['x-a'] },
        add => { headers => ['x-copy:$(headers.x_a)'],
                 querystring => ['e:$(headers.x_a)'] } },
    late => { remove => { headers => ['x-a'] },
              add => { querystring => ['e:[$(headers.x_a)]'] } },
    crlf => { add => { headers => ['x-c:$(query_params.c)'] } },
);

# expressions that must fail alone, and leave the worker as it was
my %hostile = (
    loop => '(function() while true do end end)()',
    memory => '("x"):rep(1e9)',
    grow => '(function() local s = "x" while true do s = s .. s end end)()',
    churn => '(function() for i = 1, 1e5 do local s = ("x"):rep(1e6 + i) '
             . 'end end)()',
    pattern => '("a"):rep(40):find(("a-"):rep(30) .. "b")',
    greedy => '("a"):rep(5000):match(("a*"):rep(20) .. "b")',
    subst => '("a"):rep(100000):gsub("a*b", "")',
    deep => '(function() local function f() return 1 + f() end '
            . 'return f() end)()',
    callback => '("aaaa"):gsub("a", function() while true do end end)',
    table => '(function() local t = {} for i = 1, 1e9 do t[i] = i end end)()',
    nested => '("x"):rep(199999):gsub(".", ("y"):rep(1e5))',
    format => '("%999999999d"):format(1)',
    nil => 'nothing.here',
    os => 'os.time()',
    io => 'io.open("/etc/passwd")',
    ffi => 'require("ffi")',
    load => 'load("return 1")()',
    debug => 'debug.getinfo(1)',
    getmt => 'getmetatable("").__index',
    dump => '(""):dump(type)',
    jit => 'jit.on()',
    global => '_G.type(1)',
    frontier => '("x"):find("%f")',
    bracket => '("x"):find("[a")',
    capture => '("x"):find("\\40x")',
    close => '("x"):match("x\\41")',
    back => '("x"):find("%1")',
    index => '("x"):gsub("x", "%2")',
);

$cases{"hostile-$_"} = { add => { headers => ["x-out:\$($hostile{$_})"] } }
    for keys %hostile;

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream/",
        routes => [ map { {
            name => $_,
            paths => [ $_ eq 'captures'
                       ? '~/captures/(?<id>\\w+)(?:/(\\d+))?$' : "/$_" ],
            strip_path => JSON::PP::false(),
            plugins => [ { name => 'request-transformer',
                           config => $cases{$_} } ]
        } } sort keys %cases ]
    } ]
});

sub get
{
    my ($path, %headers) = @_;

    return $node->get($path, headers => \%headers);
}

sub post
{
    my ($path, $type, $body, @headers) = @_;

    return $node->get($path, method => 'POST', body => $body,
                      headers => [ [ 'Content-Type' => $type ], @headers ]);
}

my $form = 'application/x-www-form-urlencoded';
my $json = 'application/json';
my $a;

# --- headers

$a = get('/plain?b=2&a=1', 'X-A' => 1);
is($a->up_uri, '/plain?b=2&a=1', 'nothing configured: the query as it came');

$a = get('/remove', 'X-A' => 1, 'x-B' => 2, 'X-C' => 3);
is($a->up('x-a'), undef, 'removed');
is($a->up('x-b'), undef, 'removed, what follows the colon is ignored');
is($a->up('x-c'), 3, 'another stays');
is($a->up('host'), "127.0.0.1:$upstream", 'Host cannot be removed');

$a = $node->get('/remove', headers => [ ['X-A', 1], ['x-a', 2] ]);
is($a->up('x-a'), undef, 'all of a name are removed');

$a = $node->get('/rename', headers => [ ['x-a', 1], ['X-A', 2],
                                        ['x-new', 'old'], ['X-Case', 'c'] ]);
is($a->up('x-new'), '1, 2', 'all values move and take the place');
is($a->up('x-a'), undef, 'the old name is gone');
is($a->up('x-case'), 'c', 'a change of case alone');
is($a->up('x-host'), undef, 'Host is not renamed');

is(get('/rename', 'X-B' => 1)->up('x-new'), undef, 'nothing to rename');
is(get('/rename-host', 'X-A' => 'h.test')->up('host'), 'h.test',
   'a rename to Host sets it');

$a = $node->get('/replace', headers => [ ['x-a', 1], ['X-A', 2] ]);
is($a->up('x-a'), 'R', 'one value takes the place of two');
is($a->up('x-none'), undef, 'what is not there is not replaced');
is($a->up('host'), 'other.test:81', 'Host is replaced');
is($a->up('x-forwarded-host'), '127.0.0.1', 'X-Forwarded-Host is the client\'s');

$a = get('/add', 'X-a' => 1);
is($a->up('x-a'), 1, 'add leaves what is there');
is($a->up('host'), "127.0.0.1:$upstream", 'add leaves Host');
is($a->up('x-empty'), undef, 'an entry without a value adds nothing');
is($a->up('x-colons'), 'c:d', 'colons before the value are one');
is(get('/add')->up('x-a'), 'A', 'added');

$a = get('/append', 'X-a' => 1);
is($a->up('x-a'), '1, P', 'appended');
is($a->up('x-new'), 'P, Q', 'appended to nothing, twice');
is($a->up('host'), "127.0.0.1:$upstream", 'append leaves Host');

$a = get('/all', 'X-A' => 1, 'X-B' => 2);
is($a->up('x-a'), 'R, Z', 'remove, rename, replace, append');
is($a->up('x-b'), 'B', 'add comes after rename');

$a = get('/fixed', 'X-Forwarded-For' => '9.9.9.9');
is($a->up('x-forwarded-for'), '9.9.9.9, 127.0.0.1',
   'what the gateway writes cannot be changed');
is($a->up('x-real-ip'), '127.0.0.1', 'nor X-Real-IP');
is($a->up('connection'), 'keep-alive', 'nor Connection');
is($a->up('x-forwarded-proto'), 'http', 'nor X-Forwarded-Proto');

# --- query

is(get('/remove?b=2&c=3&a=1&a=2')->up_uri, '/remove?c=3', 'query: remove');
is(get('/remove?a=1')->up_uri, '/remove', 'the last one takes the "?" along');
is(get('/rename?z=9&y=%20&a=1&a=2')->up_uri, '/rename?y=%20&z=1&z=2',
   'query: rename replaces the other');
is(get('/replace?x&a=1&a=2')->up_uri, '/replace?a=R&x', 'query: replace');
is(get('/add?b=%C3%A9')->up_uri, '/add?a=A&b=%C3%A9&q=x%20y%26z',
   'query: add, escaped and sorted');
is(get('/append?a=1&b')->up_uri, '/append?a=1&a=P&b&n=P', 'query: append');
is(get('/append?a')->up_uri, '/append?a&a=P&n=P', 'to one without a value');
is(get("/remove?c=!'()*-._~%2B+%zz")->up_uri,
   "/remove?c=!'()*-._~%2B%20%25zz", 'what is escaped');

# --- bodies

$a = post('/remove', $form, 'f=1&g=2&f=3');
is($a->json->{body}, 'g=2',
   'form: remove');
$a = post('/remove', $form, 'f=1');
is($a->up('content-length'), 0,
   'nothing is left');
is(post('/rename', $form, 'f=1&g=2')->json->{body}, 'ff=1&g=2',
   'form: rename');
is(post('/replace', $form, 'f=1&g=2')->json->{body}, 'f=R&g=2',
   'form: replace');
like(post('/add', "$form; charset=utf-8", 'f=1&g=2')->json->{body},
     qr/^f=1&(h=H&g=2|g=2&h=H)$/, 'form: add');
$a = post('/add', $form, '');
is($a->json->{body}, 'f=A&h=H', 'form: add to nothing');
like(post('/append', $form, 'f=1')->json->{body}, qr/^f=1&f=P&h=P$/,
     'form: append');
is(post('/rename', $form, 'x=%zz&y=+')->json->{body}, 'x=%zz&y=+',
   'what does not change is sent as it came');

is(post('/remove', $json, '{"f":1, "n" : {"a": [1, 2]}, "k": 1.0}')
   ->json->{body}, '{"k":1.0}', 'json: remove, numbers keep their text');
is(post('/rename', $json, '{"f":"1","g":12345678901234567890}')
   ->json->{body}, '{"ff":"1","g":12345678901234567890}', 'json: rename');
is(post('/replace', $json, '{"f":null}')->json->{body}, '{"f":"R"}',
   'json: replace null');
is(post('/replace', $json, '{"f":false}')->json->{body}, '{"f":false}',
   'json: false counts as absent');
is(post('/add', $json, '{"f":false}')->json->{body}, '{"f":"A","h":"H"}',
   'json: so add sets it');
is(post('/add', $json, '')->json->{body}, '{"f":"A","h":"H"}',
   'json: add to nothing');
is(post('/append', $json, '{"f":"1"}')->json->{body},
   '{"f":["1","P"],"h":["P"]}', 'json: append');
is(post('/append', $json, '{"f":[ 1 ]}')->json->{body},
   '{"f":[1,"P"],"h":["P"]}', 'json: append to an array');
is(post('/append', $json, '{"f":[ ]}')->json->{body},
   '{"f":["P"],"h":["P"]}', 'json: append to an empty array');
is(post('/remove', $json, '{"\u0066":1,"f":2}')->json->{body}, '{}',
   'json: a name however it is written');

for my $body ('{"f":1', '[{"f":1}]', '"f"', '{"f":01}', '{"f":1}x',
              "{\"f\":\"\n\"}", '{"f":1,}', '{f:1}', ('[' x 2000),
              '{"f":' . ('[' x 1500) . (']' x 1500) . '}')
{
    is(post('/remove', $json, $body)->json->{body}, $body,
       'json: left alone: ' . substr($body, 0, 12));
}

is(post('/remove', 'text/plain', 'f=1')->json->{body}, 'f=1',
   'another type is left alone');
is($node->get('/remove', method => 'POST', body => 'f=1')->json->{body},
   'f=1', 'no type is left alone');

my $big = join('&', map { "k$_=v" } 1 .. 20000);
is(length post('/remove', $form, "f=1&$big")->json->{body}, length $big,
   'a form of 20000 fields');

$a = $node->get('/remove', method => 'POST', body => "4\r\nf=1&\r\n3\r\ng=2"
                . "\r\n0\r\n\r\n", headers => [
                    [ 'Content-Type', $form ],
                    [ 'Transfer-Encoding', 'chunked' ] ]);
is($a->json->{body}, 'g=2', 'a chunked form');
is($a->up('content-length'), 3, 'gets a length');
is($a->up('transfer-encoding'), undef, 'instead of chunks');

my $multi = 'multipart/form-data; boundary="b o"';
my $part = sub { "--b o\r\nContent-Disposition: form-data; name=\"$_[0]\"$_[2]"
                 . "\r\n\r\n$_[1]\r\n" };
my $both = $part->('f', '1', '; filename="x"') . $part->('g', "a\r\nb", '');

is(post('/remove', $multi, "$both--b o--\r\n")->json->{body},
   $part->('g', "a\r\nb", '') . "--b o--\r\n", 'multipart: remove');
is(post('/rename', $multi, "$both--b o--\r\n")->json->{body},
   $part->('g', "a\r\nb", '') . $part->('ff', 1, '') . "--b o--\r\n",
   'multipart: rename');
is(post('/replace', $multi, "$both--b o--\r\n")->json->{body},
   $part->('g', "a\r\nb", '') . $part->('f', 'R', '') . "--b o--\r\n",
   'multipart: replace');
is(post('/add', $multi, "$both--b o--\r\n")->json->{body},
   $both . $part->('h', 'H', '') . "--b o--\r\n", 'multipart: add');
is(post('/append', $multi, "$both--b o--\r\n")->json->{body},
   "$both--b o--\r\n", 'multipart: there is no append');
is(post('/remove', 'multipart/form-data', $both)->json->{body}, $both,
   'multipart without a boundary is left alone');
is(post('/remove', $multi, '--b o')->status, 200, 'multipart cut short');

# --- method

is(get('/put')->json->{method}, 'PUT', 'http_method');
is($node->get('/put', method => 'HEAD')->status, 200,
   'an answer to HEAD has no body');
$a = post('/get?z=1&f=0', $form, 'f=1&g');
is($a->json->{method}, 'GET', 'POST becomes GET');
is($a->up_uri, '/get?f=0&f=1&g&z=1', 'the form joins the query');
is($a->json->{body}, 'f=1&g', 'and stays');
is(post('/get?z=1', $json, '{"f":1}')->up_uri, '/get?z=1', 'JSON does not');
is(get('/weird')->status, 500, 'a method that cannot be set');

my $conn = KongHttp->connect($node->{proxy});
$a = $conn->request('/tohead');
is($a->status, 200, 'GET becomes HEAD');
is($a->body, '', 'and has an empty answer');
is($conn->request('/plain')->status, 200, 'the connection goes on');
$a = $conn->request('/get', method => 'HEAD');
is($a->status, 200, 'HEAD becomes GET');
is($conn->request('/plain')->status, 200, 'and no body is left over');

# --- path

is(get('/uri?q=1', 'X-A' => "b?c \x{c3}\x{a9}")->up_uri,
   '/re%20placed/%41b?c%20%C3%A9?q=1', 'replace.uri, escaped');
is(get('/baduri', 'X-A' => 'no')->status, 500, 'a path starts with a slash');
is(get('/baduri', 'X-A' => '/yes')->up_uri, '/yes', 'this one does');

# --- templates

$a = get('/captures/Ab_1/22');
is($a->up('x-id'), 'Ab_1', 'a capture by its name');
is($a->up('x-one'), 'Ab_1', 'by its number');
is($a->up('x-all'), '/captures/Ab_1/22', 'the whole');
is($a->up('x-two'), '[22]', 'the second');
is($a->up('x-lua'), 'AB_1', 'in an expression');
is(get('/captures/x')->up('x-two'), '[]', 'one that took no part');

$a = $node->get('/lookups?a=1&b%20c=2&bare&m=1&m=2',
                headers => [ [ 'X-a', 'v' ] ]);
is($a->up('x-h'), 'v|v|', 'headers');
is($a->up('x-q'), '1|2|true', 'query_params');
like($a->up('x-many'), qr/^table: 0x/, 'several values are a table');
is($a->up('x-same'), 'v|true|' . $a->up('x-many'), 'Lua sees the same');

$a = $node->get('/lua', headers => [ [ 'X-A', 'abcd' ], [ 'X-M', 1 ],
                                     [ 'X-M', 2 ] ]);
is($a->up('x-type'), 'string-table-nil', 'type');
is($a->up('x-fn'), 55, 'a function');
is($a->up('x-sub'), 'bc-a;b', 'methods of strings');
is($a->up('x-find'), '4-v', 'find and match');
is($a->up('x-multi'), 2, 'the second value of a header');
is($a->up('x-bool'), 'true1.5', 'false and nil are empty');
is($a->up('x-shared'), 'table', 'shared');
is($a->up('x-dollar'), '$5 $x $((', 'what is no expression is text');
is(get('/lua')->status, 500, 'an expression that fails: 500');
is(get('/lua')->json->{message}, 'An unexpected error occurred', 'its text');

$a = get('/snapshot', 'X-A' => 'v');
is($a->up('x-copy'), 'v', 'values are rendered before anything is changed');
is($a->up_uri, '/snapshot?e=v', 'what was once seen stays');
is(get('/late', 'X-A' => 'v')->up_uri, '/late?e=%5B%5D',
   'what is first seen later has changed');

$a = get('/crlf?c=a%0d%0aX-Evil:%201%00%7f');
is($a->up('x-evil'), undef, 'no header can be smuggled in');
is($a->up('x-c'), 'a%0D%0AX-Evil: 1%00%7F', 'control characters are escaped');

# --- limits

my $rss = rss_kb(($node->worker_pids)[0]);

for my $name (sort keys %hostile) {
    my $t = now();

    is(get("/hostile-$name")->status, 500, "hostile: $name");
    cmp_ok(now() - $t, '<', sanitized() ? 10 : 2, '... and soon');
}

for (1 .. 20) {
    get("/hostile-$_") for qw(memory grow churn table);
}

cmp_ok(rss_kb(($node->worker_pids)[0]) - $rss, '<',
       sanitized() ? 2000000 : 65536, 'no memory is kept');

$a = $node->get('/lua', headers => [ [ 'X-A', 'abcd' ], [ 'X-M', 1 ],
                                     [ 'X-M', 2 ] ]);
is($a->up('x-fn'), 55, 'the worker goes on');

finish();
