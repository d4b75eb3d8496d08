# oauth2: access with tokens that are in the configuration, and what the
# endpoints of the authorization server answer without a database.  What they
# do with one is in oauth2-flows.t.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use MIME::Base64 qw(encode_base64url);
use Test::More;

my $upstream = echo_start();
my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my %flow = (enable_client_credentials => $true);

my %routes = (
    plain => {},
    global => { global_credentials => $true },
    hide => { hide_credentials => $true },
    header => { auth_header_name => 'X-Auth' },
    realm => { realm => 'gate' },
    anon => { anonymous => 'guest' },
    full => { provision_key => 'the-key', enable_password_grant => $true,
              enable_authorization_code => $true,
              enable_implicit_grant => $true },
    terminated => { accept_http_if_already_terminated => $true },
);

my $service = '5f3b7a2e-0000-4000-8000-000000000001';
my $other = '5f3b7a2e-0000-4000-8000-000000000002';
my $app = '5f3b7a2e-0000-4000-8000-0000000000aa';
my $now = time();

sub token
{
    my ($name, %o) = @_;

    return { access_token => $name, credential => { id => $app },
             token_type => 'bearer', expires_in => 7200,
             service => { id => $service }, created_at => $now, %o };
}

my $jwt = join('.', map { encode_base64url($_) }
               '{"alg":"HS256"}', '{"iss":"k-jwt"}');
$jwt .= '.' . encode_base64url(hmac_sha256($jwt, 's-jwt'));

my $node = node_start(
    allow => qr/cannot issue tokens/, env => { KONG_TRUSTED_IPS => '0.0.0.0/0' },
    config => {
    _format_version => '3.0',
    services => [
        { id => $service, name => 'echo',
          url => "http://127.0.0.1:$upstream", routes => [
            (map { { name => $_, paths => ["/$_"], plugins => [
                     { name => 'oauth2',
                       config => { %flow, %{ $routes{$_} } } } ] } }
             sort keys %routes),
            { name => 'or', paths => ['/or'], plugins => [
                { name => 'oauth2',
                  config => { %flow, anonymous => 'guest' } },
                { name => 'key-auth', config => { anonymous => 'guest' } } ] },
            { name => 'first', paths => ['/first'], plugins => [
                { name => 'oauth2',
                  config => { %flow, anonymous => 'guest' } },
                { name => 'jwt', config => { anonymous => 'guest',
                                             key_claim_name => 'iss' } } ] },
          ] },
        { id => $other, name => 'other',
          url => "http://127.0.0.1:$upstream" },
    ],
    consumers => [
        { username => 'alice', custom_id => 'a-1',
          keyauth_credentials => [ { key => 'k-alice' } ],
          jwt_secrets => [ { key => 'k-jwt', secret => 's-jwt' } ],
          oauth2_credentials => [
            { id => $app, name => 'app', client_id => 'the-client',
              client_secret => 's', redirect_uris => ['http://a/'] } ] },
        { username => 'guest' },
    ],
    oauth2_tokens => [
        token('good', scope => 'read write', authenticated_userid => 'joe'),
        token('bare'),
        token('elsewhere', service => { id => $other }),
        token('anywhere', service => undef),
        token('old', created_at => $now - 8000),
        token('forever', created_at => 1, expires_in => 0),
        token('short', created_at => $now - 8000, expires_in => 9000),
    ]
});

sub try
{
    my ($path, @headers) = @_;

    return $node->get($path, headers => \@headers);
}

sub bearer { return [ Authorization => "Bearer $_[0]" ] }

sub missing
{
    my ($a, $name, $challenge) = @_;

    is($a->status, 401, $name);
    is_deeply($a->json, { error => 'invalid_request',
                          error_description => 'The access token is missing'
                        }, "$name: body") or diag($a->body);
    is($a->header('www-authenticate'), $challenge || 'Bearer',
       "$name: challenge");
}

sub invalid
{
    my ($a, $name, $before) = @_;
    my $text = 'The access token is invalid or has expired';

    is($a->status, 401, $name);
    is_deeply($a->json, { error => 'invalid_token',
                          error_description => $text }, "$name: body")
        or diag($a->body);
    is($a->header('www-authenticate'), ($before || 'Bearer')
       . " error=\"invalid_token\" error_description=\"$text\"",
       "$name: challenge");
}

my $a = try('/plain', bearer('good'),
            [ 'X-Authenticated-Scope' => 'all' ]);
is($a->status, 200, 'a token');
is($a->up('x-consumer-username'), 'alice', 'consumer');
is($a->up('x-credential-identifier'), 'the-client', 'client id');
is($a->up('x-authenticated-scope'), 'read write', 'scope');
is($a->up('x-authenticated-userid'), 'joe', 'user');
is($a->up('authorization'), 'Bearer good', 'goes on');

$a = try('/plain', bearer('bare'), [ 'X-Authenticated-Scope' => 'all' ],
         [ 'X-Authenticated-UserId' => 'root' ]);
is($a->status, 200, 'a token for nothing in particular');
is($a->up('x-authenticated-scope'), undef, 'spoofed scope: removed');
is($a->up('x-authenticated-userid'), undef, 'spoofed user: removed');

is(try('/plain', [ Authorization => 'bearer good' ])->status, 200, 'bearer');
is(try('/plain', [ Authorization => 'TOKEN   good' ])->status, 200, 'token');
is(try('/plain', [ Authorization => 'good' ])->status, 200, 'alone');
is(try('/plain?access_token=good')->status, 200, 'query');
is(try('/header', [ 'x-auth' => 'Bearer good' ])->status, 200,
   'auth_header_name');
missing(try('/header', bearer('good')), 'and not the other');

for my $type (
    [ 'application/x-www-form-urlencoded', 'a=b&access_token=good&c=d' ],
    [ 'application/json', '{"access_token":"good"}' ],
) {
    $a = $node->get('/plain', method => 'POST', body => $type->[1],
                    headers => { 'Content-Type' => $type->[0] });
    is($a->status, 200, "body: $type->[0]");
    is($a->json->{body}, $type->[1], 'goes on');
}

missing(try('/plain'), 'no token');
missing(try('/plain', [ Authorization => '' ]), 'an empty header');
missing(try('/plain?access_token='), 'an empty one');
missing(try('/plain?access_token=good&access_token=bare'), 'two');
missing($node->get('/plain', method => 'POST', body => 'access_token=good',
                   headers => { 'Content-Type' => 'text/plain' }),
        'a body of another type');
invalid(try('/plain', bearer('nobody')), 'unknown');
invalid(try('/plain', bearer('GOOD')), 'of another case');
invalid(try('/plain', bearer('good x')), 'with more behind it');
invalid(try('/plain', [ Authorization => 'Basic good' ]), 'another scheme');
invalid(try('/plain', bearer('x' x 6000)), 'a long one');
invalid(try('/plain', bearer('old')), 'expired');
is(try('/plain', bearer('short'))->status, 200, 'not yet');
is(try('/plain', bearer('forever'))->status, 200, 'never');
invalid(try('/plain', bearer('elsewhere')), 'for another service');
is(try('/plain', bearer('anywhere'))->status, 401, 'for any service');
is_deeply(try('/plain', bearer('anywhere'))->json, {
    error => 'invalid_token', error_description => 'The access token is '
    . 'global, but the current plugin is configured without '
    . "'global_credentials'" }, 'says so');
is(try('/global', bearer('anywhere'))->status, 200, 'global_credentials');
invalid(try('/global', bearer('elsewhere')), 'but not of another service');
is(try('/plain', bearer('good'), bearer('good'))->status, 400, 'doubled');

# hide_credentials
is(try('/hide', bearer('good'))->up('authorization'), undef, 'hide: header');
is(try('/hide?a=b&access_token=good')->up_uri, '/?a=b', 'hide: query');
$a = $node->get('/hide', method => 'POST', body => 'a=b&access_token=good',
                headers => { 'Content-Type' =>
                             'application/x-www-form-urlencoded' });
is($a->json->{body}, 'a=b', 'hide: body');

missing(try('/realm'), 'realm', 'Bearer realm="gate"');
invalid(try('/realm', bearer('x')), 'realm', 'Bearer realm="gate"');

# anonymous
$a = try('/anon', bearer('old'), [ 'X-Authenticated-Scope' => 'all' ]);
is($a->up('x-consumer-username'), 'guest', 'anonymous');
is($a->up('x-anonymous-consumer'), 'true', 'says so');
is($a->up('x-authenticated-scope'), undef, 'spoofed scope: removed');
is(try('/anon', bearer('good'))->up('x-consumer-username'), 'alice', 'known');
$a = try('/or', [ apikey => 'k-alice' ]);
is($a->up('x-anonymous-consumer'), undef, 'OR');
$a = try('/first', [ Authorization => "Bearer $jwt" ], [ 'X-Authenticated-Scope', 'all' ],
         [ 'X-Authenticated-UserId', 'root' ]);
is($a->up('x-consumer-username'), 'alice', 'OR, authenticated before');
is($a->up('x-authenticated-scope'), undef, 'spoofed scope: removed');
is($a->up('x-authenticated-userid'), undef, 'spoofed user: removed');

# the endpoints
for my $path ('/plain/oauth2/token', '/plain/oauth2/token/') {
    $a = try($path);
    is($a->status, 405, "GET $path");
    is_deeply($a->json, { error => 'invalid_method', error_description =>
        'The HTTP method GET is invalid for the token endpoint' }, 'body');

    $a = $node->get($path, method => 'POST', body => 'x');
    is($a->status, 400, "POST $path without TLS");
    is_deeply($a->json, { error => 'access_denied',
                          error_description => 'You must use HTTPS' },
              'body');

    my %post = (method => 'POST', body => 'grant_type=client_credentials'
                . '&client_id=the-client&client_secret=s');
    is($node->get_ssl($path, %post)->status, 500, "POST $path: no writes");
    is($node->get($path =~ s/plain/terminated/r, %post,
                  headers => { 'X-Forwarded-Proto' => 'https',
                      'Content-Type' => 'application/x-www-form-urlencoded'
                  })->status, 500,
       'terminated before');
    is($node->get($path, %post, headers => { 'X-Forwarded-Proto' => 'https' })
       ->status, 400, 'only where it is allowed');
}

my $authorize = 'client_id=the-client&authenticated_userid=joe'
                . '&provision_key=the-key&response_type=';
is($node->get_ssl('/full/oauth2/authorize', method => 'POST',
                  body => "$authorize$_")->status, 500, "authorize: $_")
    for 'code', 'token';

my %form = (method => 'POST',
            body => 'client_id=the-client&client_secret=s&grant_type=');
for my $pair ([ 'authorization_code&code=x', 'Invalid code' ],
              [ 'refresh_token&refresh_token=x', 'Invalid refresh_token' ],
              [ 'password', 'Invalid provision_key' ]) {
    $a = $node->get_ssl('/full/oauth2/token', %form,
                        body => $form{body} . $pair->[0]);
    is($a->status, 400, $pair->[0]);
    is($a->json->{error_description}, $pair->[1], 'why');
}

is($node->get_ssl('/plain/oauth2/token', %form)->status, 400,
   'what is wrong is refused first');
is(try('/plain/oauth2/tokens', bearer('good'))->status, 200,
   'another path is a resource');

is($node->get('/plain', method => 'HEAD')->status, 401, 'HEAD');
is($node->get('/plain', method => 'OPTIONS')->status, 401, 'OPTIONS');

finish();
