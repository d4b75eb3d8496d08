# key-auth: every field of its configuration, where keys are looked for, and
# what clients get wrong.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my ($true, $false) = (JSON::PP::true(), JSON::PP::false());

my %routes = (
    plain => {},
    names => { key_names => ['X-Key', 'other_key', 'apikey'] },
    hide => { hide_credentials => $true },
    hidebody => { hide_credentials => $true, key_in_body => $true },
    header => { key_in_query => $false },
    query => { key_in_header => $false },
    body => { key_in_body => $true, key_in_header => $false,
              key_in_query => $false },
    realm => { realm => 'the "vault"' },
    preflight => { run_on_preflight => $false },
    anon => { anonymous => 'guest' },
    anonhide => { anonymous => 'guest', hide_credentials => $true },
    nobody => { anonymous => 'no-such-consumer' },
);

my $long = 'k' x 4000;
my $node = node_start(allow => qr/anonymous consumer/, config => {
    _format_version => '3.0',
    services => [ { name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [
            map { { name => $_, paths => ["/$_"], plugins => [
                { name => 'key-auth', config => $routes{$_} } ] } }
            sort keys %routes
        ] } ],
    consumers => [
        { username => 'alice', custom_id => 'a-1', keyauth_credentials => [
            { id => '11111111-2222-4333-8444-555555555555', key => 'good' },
            { key => $long }, { key => "schl\x{fc}ssel \x{20ac}" },
            { key => 'a b&c=d' }, { key => 'short', ttl => 1 } ] },
        { username => 'bob', keyauth_credentials => [ { key => 'bobs' } ] },
        { username => 'guest' },
    ]
});

sub try
{
    my ($path, @headers) = @_;

    return $node->get($path, headers => [ @headers ]);
}

sub post
{
    my ($path, $type, $body, @headers) = @_;

    return $node->get($path, method => 'POST', body => $body,
                      headers => [ [ 'Content-Type', $type ], @headers ]);
}

# --- who it is

my $a = try('/plain', [ apikey => 'good' ]);

is($a->status, 200, 'a key in a header');
is($a->up('x-consumer-username'), 'alice', 'consumer');
is($a->up('x-consumer-custom-id'), 'a-1', 'custom id');
is($a->up('x-credential-identifier'), '11111111-2222-4333-8444-555555555555',
   'the credential\'s id');
is($a->up('apikey'), 'good', 'the key goes on');
is($a->up('x-anonymous-consumer'), undef, 'not anonymous');
$a = try('/plain', [ apikey => 'good' ], [ 'X-Consumer-Username', 'root' ],
         [ 'X-Anonymous-Consumer', 'true' ],
         [ 'X-Credential-Identifier', 'root' ]);
is($a->up('x-consumer-username'), 'alice', 'spoofed: replaced');
is($a->up('x-anonymous-consumer'), undef, 'spoofed: removed');
unlike($a->up('x-credential-identifier'), qr/root/, 'spoofed: replaced');

is(try('/plain', [ 'APIKEY', 'good' ])->status, 200, 'a name in any case');
is(try('/plain?apikey=good')->status, 200, 'in the query');
is(try('/plain?x=1&apikey=bobs&y')->up('x-consumer-username'), 'bob',
   'among others');
is(try('/plain?apikey=bobs', [ apikey => 'good' ])
   ->up('x-consumer-username'), 'alice', 'the header comes first');
is(try('/plain?%61pikey=%67ood')->status, 200, 'escaped');
is(try('/plain?apikey=a+b%26c%3Dd')->status, 200, 'with odd characters');
is(try('/plain', [ apikey => $long ])->status, 200, 'a long one');
is(try('/plain', [ apikey => "schl\xc3\xbcssel \xe2\x82\xac" ])->status, 200,
   'Unicode');
is(try('/plain?apikey=schl%C3%BCssel%20%E2%82%AC')->status, 200,
   'Unicode in the query');
is(try('/plain', [ apikey => "schl\xfcssel \x80" ])->status, 401,
   'Latin-1 is not it');

# --- refused

my %refused = (
    'none' => [ [], 'No API key found in request' ],
    'an empty one' => [ [ [ apikey => '' ] ],
                        'No API key found in request' ],
    'another name' => [ [ [ 'x-apikey', 'good' ] ],
                        'No API key found in request' ],
    'unknown' => [ [ [ apikey => 'bad' ] ], 'Unauthorized' ],
    'of other case' => [ [ [ apikey => 'GOOD' ] ], 'Unauthorized' ],
    'cut' => [ [ [ apikey => 'goo' ] ], 'Unauthorized' ],
    'longer' => [ [ [ apikey => 'goodd' ] ], 'Unauthorized' ],
    'two in one' => [ [ [ apikey => 'good, good' ] ], 'Unauthorized' ],
    'twice' => [ [ [ apikey => 'good' ], [ apikey => 'good' ] ],
                 'Duplicate API key found' ],
    'a bearer token' => [ [ [ Authorization => 'Bearer good' ] ],
                          'No API key found in request' ],
);

for my $name (sort keys %refused) {
    my ($headers, $message) = @{ $refused{$name} };

    $a = try('/plain', @$headers);
    is($a->status, 401, $name);
    is($a->json->{message}, $message, "$name: message");
    is($a->header('www-authenticate'), 'Key', "$name: challenge");
}

$a = try('/plain?apikey=good&apikey=bobs');
is($a->status, 401, 'twice in the query');
is($a->json->{message}, 'Duplicate API key found', 'which is said');
is(try('/plain?apikey')->json->{message}, 'No API key found in request',
   'an argument without a value is no string');
is(try('/plain?apikey=')->json->{message}, 'No API key found in request',
   'an empty argument');
is(try('/plain?apikey=good%00')->status, 401, 'a NUL behind it');
is(post('/plain', 'application/json', '{"apikey":"good"}')->status, 401,
   'bodies are not looked into');

# --- names

is(try('/names', [ 'x-key', 'good' ])->status, 200, 'the first name');
is(try('/names?other_key=good')->status, 200, 'the second');
is(try('/names', [ 'apikey', 'good' ])->status, 200, 'the third');
is(try('/names?X-Key=good')->status, 200, 'in the query');
is(try('/names?x-key=good')->status, 401, 'there as it is written');
is(try('/names', [ 'x-key', 'bobs' ], [ apikey => 'good' ])
   ->up('x-consumer-username'), 'bob', 'their order counts');
is(try('/names?X-Key=bad', [ apikey => 'good' ])->status, 401,
   'the first that is found is taken');

# --- where

is(try('/header', [ apikey => 'good' ])->status, 200, 'only headers');
is(try('/header?apikey=good')->status, 401, 'no query');
is(try('/query?apikey=good')->status, 200, 'only the query');
is(try('/query', [ apikey => 'good' ])->status, 401, 'no header');

my $boundary = 'xX-X';
my $multipart = "--$boundary\r\nContent-Disposition: form-data; "
                . "name=\"apikey\"\r\n\r\ngood\r\n--$boundary--\r\n";

is(post('/body', 'application/json', '{"apikey":"good","x":1}')->status, 200,
   'a JSON body');
is(post('/body', 'application/x-www-form-urlencoded', 'x=1&apikey=good')
   ->status, 200, 'a form');
is(post('/body', "multipart/form-data; boundary=$boundary", $multipart)
   ->status, 200, 'parts');
is(post('/body', 'text/plain', 'apikey=good')->status, 401, 'plain text');
is(post('/body', 'application/json', '{"apikey":"good"')->status, 401,
   'broken JSON');
is(post('/body', 'application/json', '{"apikey":{"a":"good"}}')->status, 401,
   'not a string');
is(post('/body', 'application/json', '["apikey"]')->status, 401, 'a list');
is(post('/body?apikey=good', 'application/json', '{}', [ apikey => 'good' ])
   ->status, 401, 'nowhere else');
is($node->get('/body')->status, 401, 'no body');
is(post('/body', 'application/x-www-form-urlencoded',
        'x=' . 'y' x 300_000 . '&apikey=good')->status, 200, 'a large form');
is(post('/body', 'application/json', '{"apikey":"good"}')->json->{body},
   '{"apikey":"good"}', 'the body goes on');

# --- hidden

$a = try('/hide?a=1&apikey=good&b=2');
is($a->up_uri, '/?a=1&b=2', 'out of the query');
is(try('/hide', [ apikey => 'good' ])->up('apikey'), undef, 'of the headers');
$a = try('/hide?apikey=bobs', [ apikey => 'good' ]);
is($a->up('x-consumer-username') . ($a->up('apikey') || '') . $a->up_uri,
   'alice/', 'of both');
is(try('/hide')->status, 401, 'no key, nothing to hide');
$a = post('/hidebody', 'application/json', '{"apikey":"good","x":[1]}');
is($a->status, 200, 'with a body');
is($a->json->{body}, '{"x":[1]}', 'out of JSON');
is($a->up('content-length'), length('{"x":[1]}'), 'with its length');
is(post('/hidebody', 'application/x-www-form-urlencoded', 'a=1&apikey=good')
   ->json->{body}, 'a=1', 'out of a form');
unlike(post('/hidebody', "multipart/form-data; boundary=$boundary",
            $multipart)->json->{body}, qr/good/, 'out of parts');

# --- realm, anonymous

is(try('/realm')->header('www-authenticate'), 'Key realm="the "vault""',
   'realm');
$a = try('/anon', [ apikey => 'bad' ]);
is($a->status, 200, 'anonymous');
is($a->up('x-consumer-username'), 'guest', 'as the guest');
is($a->up('x-anonymous-consumer'), 'true', 'says so');
is($a->up('x-credential-identifier'), undef, 'no credential');
is($a->header('www-authenticate'), undef, 'no challenge');
is(try('/anon', [ apikey => 'good' ], [ apikey => 'good' ])
   ->up('x-consumer-username'), 'guest', 'a doubled one is a guest');
is(try('/anon', [ apikey => 'good' ])->up('x-consumer-username'), 'alice',
   'those who are known are not');
is(try('/anonhide', [ apikey => 'bad' ])->up('apikey'), undef,
   'a bad key is hidden, too');
is(try('/nobody')->status, 500, 'a missing anonymous consumer');
is(try('/nobody', [ apikey => 'good' ])->status, 200,
   'but not for those who are known');

# --- methods and error bodies

is($node->get('/plain', method => 'OPTIONS')->status, 401, 'OPTIONS');
is($node->get('/preflight', method => 'OPTIONS')->status, 200,
   'run_on_preflight = false');
is($node->get('/preflight', method => 'OPTIONS')->up('x-consumer-username'),
   undef, 'nobody');
is($node->get('/preflight')->status, 401, 'for OPTIONS alone');
$a = $node->get('/plain', method => 'HEAD');
is($a->status, 401, 'HEAD');
is($a->body, '', 'without a body');
is($a->header('www-authenticate'), 'Key', 'with the challenge');
like(try('/plain', [ Accept => 'text/plain' ])->body,
     qr/^No API key found in request\nrequest_id: /, 'as plain text');
is(try('/plain', [ Accept => 'text/html' ])->header('content-type'),
   'text/html; charset=utf-8', 'as HTML');
is(post('/plain', 'text/plain', 'x' x 100_000)->status, 401,
   'a body that nobody reads');
is(post('/plain', 'text/plain', 'x' x 100_000, [ apikey => 'good' ])->json
   ->{body}, 'x' x 100_000, 'a body that goes on');

# --- a key with an end

ok(wait_until(10, sub { try('/plain', [ apikey => 'short' ])->status == 401 }),
   'a key expires');

finish();
