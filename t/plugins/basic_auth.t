# basic-auth: every field of its configuration, and what clients get wrong.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use MIME::Base64 qw(encode_base64);
use Test::More;

my $upstream = echo_start();
my $true = JSON::PP::true();

my %routes = (
    plain => {},
    hide => { hide_credentials => $true },
    realm => { realm => 'the "vault"' },
    anon => { anonymous => 'guest' },
    nobody => { anonymous => 'no-such-consumer' },
    anonhide => { anonymous => 'guest', hide_credentials => $true },
);

my $node = node_start(allow => qr/anonymous consumer/, config => {
    _format_version => '3.0',
    services => [ { name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [
            (map { { name => $_, paths => ["/$_"], strip_path => $true,
                     plugins => [ { name => 'basic-auth',
                                    config => $routes{$_} } ] } }
             sort keys %routes),
            { name => 'or', paths => ['/or'], plugins => [
                map { { name => $_, config => { anonymous => 'guest' } } }
                    qw(basic-auth key-auth) ] },
            { name => 'and', paths => ['/and'], plugins => [
                map { { name => $_ } } qw(basic-auth key-auth) ] },
        ] } ],
    consumers => [
        { username => 'alice', custom_id => 'a-1',
          keyauth_credentials => [ { key => 'k-alice' } ],
          basicauth_credentials => [
            { username => 'alice', password => 'wonder:land' },
            { username => 'empty-ish', password => ' ' },
          ] },
        { username => 'b\x{f6}b', basicauth_credentials => [
            { username => "b\x{f6}b", password => "p\x{e4}ss \x{20ac}" } ] },
        { username => 'guest' },
    ]
});

sub basic { return 'Basic ' . encode_base64($_[0], '') }

sub try
{
    my ($path, $auth, %o) = @_;
    my @headers = defined $auth ? [ Authorization => $auth ] : ();

    return $node->get($path, headers => [ @headers, @{ $o{headers} || [] } ],
                      map { $_ => $o{$_} } grep { $_ ne 'headers' } keys %o);
}

my $good = basic('alice:wonder:land');
my $a = try('/plain', $good);

is($a->status, 200, 'user and password');
is($a->up('x-consumer-username'), 'alice', 'consumer');
is($a->up('x-consumer-custom-id'), 'a-1', 'custom id');
like($a->up('x-consumer-id'), qr/^[0-9a-f-]{36}$/, 'id');
is($a->up('x-credential-identifier'), 'alice', 'credential');
is($a->up('authorization'), $good, 'the header goes on');

# refused
my %refused = (
    'no header' => undef,
    'wrong password' => basic('alice:wonderland'),
    'password cut' => basic('alice:wonder'),
    'password longer' => basic('alice:wonder:land '),
    'no password' => basic('alice:'),
    'no colon' => basic('alice'),
    'unknown user' => basic('nobody:x'),
    'user of other case' => basic('Alice:wonder:land'),
    'no user' => basic(':wonder:land'),
    'nothing' => 'Basic',
    'not base64' => 'Basic %%%',
    'text behind it' => "$good x",
    'padding inside' => 'Basic YTpi==YTpi',
    'another scheme' => 'Bearer abc',
    'upper case scheme' => 'BASIC ' . encode_base64('alice:wonder:land', ''),
    'a NUL in the user' => basic("alice\0:wonder:land"),
    'a NUL in the password' => basic("alice:wonder:land\0"),
    'the hash as the password' => basic('alice:' . 'a' x 40),
    'a long one' => basic('alice:' . 'x' x 5000),
);

for my $name (sort keys %refused) {
    $a = try('/plain', $refused{$name});
    is($a->status, 401, $name);
    is($a->json->{message}, 'Unauthorized', "$name: message");
    is($a->header('www-authenticate'), 'Basic realm="service"',
       "$name: challenge");
}

is(try('/plain', 'basic ' . encode_base64('alice:wonder:land', ''))->status,
   200, 'scheme with a small letter');
is(try('/plain', 'Basic    ' . encode_base64('alice:wonder:land', ''))
   ->status, 200, 'blanks');
is(try('/plain', basic("b\xc3\xb6b:p\xc3\xa4ss \xe2\x82\xac"))->status, 200,
   'Unicode');
is(try('/plain', basic("b\xf6b:p\xe4ss"))->status, 401, 'Latin-1 is not it');
is(try('/plain', basic('empty-ish: '))->status, 200, 'a blank password');

# doubled and two headers
$a = $node->get('/plain', headers => [ [ Authorization => $good ],
                                       [ Authorization => $good ] ]);
is($a->status, 400, 'doubled header');

my $proxy = [ 'Proxy-Authorization' => $good ];

is(try('/plain', undef, headers => [ $proxy ])->status, 200,
   'Proxy-Authorization');
is(try('/plain', basic('x:y'), headers => [ $proxy ])->status, 200,
   'Proxy-Authorization comes first');
is(try('/plain', $good, headers => [ [ 'Proxy-Authorization', 'Basic x' ] ])
   ->status, 200, 'a bad one leaves it to Authorization');
is(try('/plain', $good, headers => [ [ 'Proxy-Authorization',
                                       basic('nobody:x') ] ])->status, 200,
   'so does an unknown user');
is(try('/plain', $good, headers => [ [ 'Proxy-Authorization',
                                       basic('alice:x') ] ])->status, 401,
   'a wrong password does not');

# hide_credentials
$a = try('/hide', $good);
is($a->status, 200, 'hide');
is($a->up('authorization'), undef, 'hidden');
$a = try('/hide', $good, headers => [ [ 'Proxy-Authorization', 'Basic x' ] ]);
is($a->up('authorization'), undef, 'both inspected: hidden');
is($a->up('proxy-authorization'), undef, 'both');

is(try('/realm', undef)->header('www-authenticate'),
   'Basic realm="the "vault""', 'realm');

# anonymous
$a = try('/anon', basic('alice:x'));
is($a->status, 200, 'anonymous');
is($a->up('x-consumer-username'), 'guest', 'as the guest');
is($a->up('x-anonymous-consumer'), 'true', 'says so');
is($a->up('x-credential-identifier'), undef, 'no credential');
is($a->header('www-authenticate'), undef, 'no challenge');
$a = try('/anon', $good, headers => [ [ 'X-Anonymous-Consumer', 'true' ],
                                      [ 'X-Consumer-Username', 'root' ],
                                      [ 'X-Credential-Identifier', 'r' ] ]);
is($a->up('x-anonymous-consumer'), undef, 'spoofed: removed');
is($a->up('x-consumer-username'), 'alice', 'spoofed: replaced');
is($a->up('x-credential-identifier'), 'alice', 'spoofed: replaced');
$a = try('/anonhide', basic('x:y'));
is($a->status, 200, 'anonymous and hide');
is($a->up('authorization'), undef, 'hidden all the same');
is(try('/nobody', undef)->status, 500, 'a missing anonymous consumer');
is(try('/nobody', $good)->status, 200, 'but not for those who are known');

# with key-auth
is(try('/and', $good)->json->{message}, 'No API key found in request', 'AND');
is(try('/and', $good, headers => [ [ apikey => 'k-alice' ] ])->status, 200,
   'AND: both');
$a = try('/or', undef, headers => [ [ apikey => 'k-alice' ] ]);
is($a->up('x-consumer-username'), 'alice', 'OR: the other');
is($a->up('x-anonymous-consumer'), undef, 'OR: known');
is(try('/or', undef)->up('x-consumer-username'), 'guest', 'OR: none');

# methods and error bodies
is(try('/plain', undef, method => 'OPTIONS')->status, 401, 'OPTIONS');
$a = try('/plain', undef, method => 'HEAD');
is($a->status, 401, 'HEAD');
is($a->header('www-authenticate'), 'Basic realm="service"', 'HEAD: challenge');
like(try('/plain', undef, headers => [ [ Accept => 'text/plain' ] ])->body,
     qr/^Unauthorized\nrequest_id: /, 'the body as plain text');
is(try('/plain', undef, method => 'POST', body => 'x' x 100_000)->status,
   401, 'a body that nobody reads');
is(try('/plain', $good, method => 'POST', body => 'x' x 100_000)->json
   ->{body}, 'x' x 100_000, 'a body that goes on');

finish();
