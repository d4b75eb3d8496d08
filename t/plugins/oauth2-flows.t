# oauth2: the authorization server with a database: every grant, every error,
# what exchanges once only, hostile input, two nodes, and a database that is
# not there.

use strict;
use warnings;

use Digest::SHA qw(sha256);
use KongEcho;
use KongHttp;
use KongNode;
use KongPg;
use KongTest;
use MIME::Base64 qw(encode_base64 encode_base64url);
use Test::More;

pg_skip();

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

# what a worker knows it knows alone: one of them, where it shall be seen
my %node = (allow => qr/oauth2: |\/oauth2\/|kong_ask|ask\.sock/,
    env => { $pg->env, KONG_TRUSTED_IPS => '0.0.0.0/0',
             KONG_PG_TIMEOUT => 2000 });
my $node = node_start(%node, workers => 1);
my $second = node_start(%node, workers => 2);

sub admin
{
    my ($method, $path, $body, $on) = @_;
    my $a = ($on || $node)->admin("$path?wait=true", method => $method,
        headers => { 'Content-Type' => 'application/json' }, timeout => 40,
        defined $body ? (body => json_encode($body)) : ());

    die "$method $path: " . $a->status . ' ' . $a->body if $a->status >= 300;

    return length($a->body) ? $a->json : undef;
}

# on the second node, too
sub settle
{
    ok(wait_until(10, sub {
        $node->admin('/generation')->json->{version}
        == $second->admin('/generation')->json->{version} }),
       'both nodes serve the same');
}

my $port = echo_start();
my %all = (provision_key => 'the-provision-key', scopes => [ 'read', 'write' ],
    enable_authorization_code => $true, enable_implicit_grant => $true,
    enable_client_credentials => $true, enable_password_grant => $true,
    accept_http_if_already_terminated => $true);
my %services = (
    all => {},
    none => { enable_client_credentials => $false,
        enable_password_grant => $false, enable_implicit_grant => $false },
    one => { enable_authorization_code => $false,
             enable_client_credentials => $false,
             enable_password_grant => $false },
    mandatory => { mandatory_scope => $true },
    noscope => { scopes => undef },
    forever => { token_expiration => 0 },
    short => { token_expiration => 1 },
    reuse => { reuse_refresh_token => $true, token_expiration => 5 },
    keep => { refresh_token_ttl => 0 },
    strict => { pkce => 'strict' },
    nopkce => { pkce => 'none' },
    global => { global_credentials => $true },
    global2 => { global_credentials => $true },
    tls => { accept_http_if_already_terminated => $false },
    header => { auth_header_name => 'X-Auth' },
    realm => { realm => 'gate' },
    hide => { hide_credentials => $true },
);
my %plugin;

for my $name (sort keys %services) {
    admin('PUT', "/services/$name", { url => "http://127.0.0.1:$port" });
    admin('PUT', "/services/$name/routes/$name", { paths => ["/$name"] });
    $plugin{$name} = admin('POST', "/services/$name/plugins",
        { name => 'oauth2', config => { %all, %{ $services{$name} } } });
}

admin('PUT', '/routes/alone', { paths => ['/alone'] });
admin('POST', '/routes/alone/plugins', { name => 'oauth2', config => {%all} });

admin('PUT', '/consumers/bob', { custom_id => 'b-1' });
my %app;

sub app
{
    my ($name, %o) = @_;

    return $app{$name} = admin('POST', '/consumers/bob/oauth2',
        { name => $name, client_id => $name, client_secret => "s:$name",
          redirect_uris => [ 'http://a.test/back',
                             'http://b.test/?x=y&a=%20b' ],
          %o });
}

app('app');
app('other');
app('hashed', hash_secret => $true);
app('bare', redirect_uris => undef);
app('frag', redirect_uris => [ 'http://c.test/p' ]);
app('public', client_type => 'public');
settle();
like($app{hashed}{client_secret}, qr/^\$pbkdf2-sha512\$/, 'a hashed secret');


# --- talking to it

sub form
{
    my (%f) = @_;

    return join('&', map {
        my ($k, $v) = ($_, $f{$_});
        $v = '' if !defined $v;
        s/([^A-Za-z0-9_.~-])/sprintf('%%%02X', ord($1))/ge for $k, $v;
        "$k=$v";
    } sort keys %f);
}

sub post
{
    my ($path, $body, %o) = @_;

    $body = form(%$body) if ref $body;

    return ($o{on} || $node)->get($path, method => 'POST', body => $body,
        timeout => 30, headers => {
            'Content-Type' => 'application/x-www-form-urlencoded',
            'X-Forwarded-Proto' => 'https', %{ $o{headers} || {} } });
}

sub token { my ($service, $f, %o) = @_;
            return post("/$service/oauth2/token", $f, %o); }

sub authorize { my ($service, $f, %o) = @_;
                return post("/$service/oauth2/authorize", $f, %o); }

sub id { my ($name) = @_; return (client_id => $name,
                                  client_secret => "s:$name"); }

sub basic
{
    my ($text, $header) = @_;

    return (headers => { $header || 'Authorization'
                         => 'Basic ' . encode_base64($text, '') });
}

my %user = (provision_key => 'the-provision-key',
            authenticated_userid => 'joe');

sub code
{
    my ($service, $name, %o) = @_;
    my $on = delete $o{on};
    my $a = authorize($service, { response_type => 'code',
                                  client_id => $name, %user, %o }, on => $on);
    my ($code) = ($a->json->{redirect_uri} || '') =~ /code=(\w{32})(?:&|$)/;

    diag($a->body) if !defined $code;

    return $code;
}

sub use_code
{
    my ($service, $name, $code, %o) = @_;

    return token($service, { grant_type => 'authorization_code',
                             id($name), code => $code, %o });
}

sub bearer
{
    my ($service, $token, $on) = @_;

    return ($on || $node)->get("/$service", timeout => 30,
        headers => { Authorization => "Bearer $token" });
}

# an error: its status, code and text
sub refused
{
    my ($name, $a, $status, $error, $text, %more) = @_;

    is($a->status, $status, $name) or diag($a->body);
    is_deeply($a->json, { error => $error, error_description => $text,
                          %more }, "$name: body") or diag($a->body);
    is($a->header('cache-control'), 'no-store', "$name: not to be kept");
    is($a->header('pragma'), 'no-cache', "$name: by nobody");
}

sub issued
{
    my ($name, $a, %o) = @_;
    my $j = $a->json || {};

    is($a->status, 200, $name) or diag($a->body);
    like($j->{access_token}, qr/^[A-Za-z0-9]{32}$/, "$name: a token");
    is($j->{token_type}, 'bearer', "$name: its type");
    is($j->{expires_in}, exists $o{expires} ? $o{expires} : 7200,
       "$name: its time");
    is($a->header('content-type'), 'application/json; charset=utf-8',
       "$name: JSON");
    is($a->header('cache-control'), 'no-store', "$name: not to be kept");
    is($a->header('pragma'), 'no-cache', "$name: by nobody");

    if ($o{refresh}) {
        like($j->{refresh_token}, qr/^[A-Za-z0-9]{32}$/, "$name: refresh");
    } else {
        ok(!exists $j->{refresh_token}, "$name: no refresh token");
    }

    return $j;
}

my @client = ('Invalid client authentication');
my %cc = (grant_type => 'client_credentials');


# --- client_credentials

my $j = issued('client credentials', token('all', { %cc, id('app') }));
my $a = bearer('all', $j->{access_token});
is($a->status, 200, 'it works at once');
is($a->up('x-consumer-username'), 'bob', 'consumer');
is($a->up('x-consumer-custom-id'), 'b-1', 'custom id');
is($a->up('x-credential-identifier'), 'app', 'client id');
is($a->up('x-authenticated-scope'), undef, 'no scope');
is($a->up('x-authenticated-userid'), undef, 'no user');
is(bearer('none', $j->{access_token})->status, 401, 'not at another service');
is(bearer('all', $j->{access_token})->status, 200, 'again');

my $row = $pg->query("SELECT expires_in, token_type, scope IS NULL, "
    . "authenticated_userid IS NULL, refresh_token IS NULL, "
    . "service_id IS NOT NULL, round(extract(epoch FROM ttl - created_at)) "
    . "FROM oauth2_tokens WHERE access_token = '$j->{access_token}'");
is($row, '7200|bearer|t|t|t|t|1209600', "a row of Kong's");

$j = issued('with scopes and a user', token('all', { %cc, id('app'), %user,
    scope => " write\tread ", state => "s\"t\x{e2}\x{82}\x{ac}" }));
is($j->{state}, "s\"t\x{20ac}", 'the state comes back');
$a = bearer('all', $j->{access_token});
is($a->up('x-authenticated-scope'), 'write read', 'scope');
is($a->up('x-authenticated-userid'), 'joe', 'user');

issued('by header', token('all', \%cc, basic('app:s:app')));
issued('by another header', token('header', \%cc,
                                  basic('app:s:app', 'X-Auth')));
issued('in JSON', token('all', json_encode({ %cc, id('app') }),
       headers => { 'Content-Type' => 'application/json' }));
issued('in the query', post('/all/oauth2/token?' . form(%cc, id('app')), ''));
issued('the body wins', post('/all/oauth2/token?client_id=x',
                             { %cc, id('app') }));
issued('with a slash', post('/all/oauth2/token/', { %cc, id('app') }));
issued('multipart', token('all', join('', map {
        my %f = (%cc, id('app'));
        "--b\r\nContent-Disposition: form-data; name=\"$_\"\r\n\r\n$f{$_}\r\n"
    } qw(grant_type client_id client_secret)) . "--b--\r\n",
    headers => { 'Content-Type' => 'multipart/form-data; boundary=b' }));
issued('without redirect_uris', token('all', { %cc, id('bare') }));
issued('any redirect_uri', token('all', { %cc, id('app'),
                                          redirect_uri => 'http://x' }));
issued('a public client', token('all', { %cc, client_id => 'public' }));
issued('a hashed secret', token('all', { %cc, id('hashed') }));
issued('a hashed secret by header', token('all', \%cc,
                                          basic('hashed:s:hashed')));

refused('a wrong secret', token('all', { %cc, id('app'),
        client_secret => 'x' }), 400, 'invalid_client', @client);
refused('another of its length', token('all', { %cc, id('app'),
        client_secret => 's:apq' }), 400, 'invalid_client', @client);
refused('a wrong hashed secret', token('all', { %cc, id('hashed'),
        client_secret => 'x' }), 400, 'invalid_client', @client);
refused('the hash as the secret', token('all', { %cc, id('hashed'),
        client_secret => $app{hashed}{client_secret} }), 400,
        'invalid_client', @client);
refused('no secret', token('all', { %cc, client_id => 'app' }), 400,
        'invalid_client', @client);
refused('an empty secret', token('all', { %cc, client_id => 'app',
        client_secret => '' }), 400, 'invalid_client', @client);
refused('nobody', token('all', \%cc), 400, 'invalid_client', @client);
refused('an unknown client', token('all', { %cc, id('x') }), 400,
        'invalid_client', @client);
refused('a secret of a public client', token('all', { %cc, id('public') }),
        400, 'invalid_request',
        'client_secret is disallowed for public clients');

$a = token('all', \%cc, basic('app:wrong'));
refused('a wrong header', $a, 401, 'invalid_client', @client);
is($a->header('www-authenticate'), 'Basic realm="OAuth2.0"', 'challenge');
$a = token('all', { grant_type => 'password', %user }, basic('x:y'));
refused('an unknown one by header', $a, 401, 'invalid_client', @client);
is($a->header('www-authenticate'), 'Basic realm="OAuth2.0"', 'challenge');
$a = token('all', \%cc, basic('x:y'));
refused('for client credentials', $a, 400, 'invalid_client', @client);
is($a->header('www-authenticate'), undef, 'no challenge, as in Kong');

for my $bad ('Basic', 'Basic ', 'Basic !!!', 'Bearer x',
             'Basic ' . 'A' x 6000, 'Basic ' . encode_base64('app', '')) {
    $a = token('all', { grant_type => 'password', %user },
               headers => { Authorization => $bad });
    is($a->status, 401, 'header ' . substr($bad, 0, 20));
}

refused('another scope', token('all', { %cc, id('app'), scope => 'read x' }),
        400, 'invalid_scope', '"x" is an invalid scope');
refused('a scope with a quote', token('all', { %cc, id('app'),
        scope => 'a"b\\', state => 's' }), 400, 'invalid_scope',
        '"a"b\\" is an invalid scope', state => 's');
refused('a scope twice', post('/all/oauth2/token', form(%cc, id('app'))
        . '&scope=read&scope=write'), 400, 'invalid_scope',
        'scope must be a string');
refused('no scope', token('mandatory', { %cc, id('app') }), 400,
        'invalid_scope', 'You must specify a scope');
refused('an empty scope', token('mandatory', { %cc, id('app'),
        scope => ' ' }), 400, 'invalid_scope', 'You must specify a scope');
issued('its scope', token('mandatory', { %cc, id('app'), scope => 'read' }));
issued('scopes of nobody', token('noscope', { %cc, id('app'),
                                              scope => 'any' }));
refused('a user without the key', token('all', { %cc, id('app'),
        authenticated_userid => 'joe' }), 400, 'invalid_provision_key',
        'Invalid provision_key');
issued('no expiry', token('forever', { %cc, id('app') }), expires => undef);

for my $type ('', 'x', 'client_credentials ', 'CLIENT_CREDENTIALS') {
    refused("grant_type '$type'", token('all', { id('app'),
            grant_type => $type }), 400, 'unsupported_grant_type',
            'Invalid grant_type');
}

for my $type ('client_credentials', 'password') {
    refused("$type: off", token('none', { id('app'), %user,
            grant_type => $type }), 400, 'unsupported_grant_type',
            'Invalid grant_type');
}

refused('grant_type twice', post('/all/oauth2/token',
        form(%cc, id('app')) . '&grant_type=client_credentials'), 400,
        'unsupported_grant_type', 'Invalid grant_type');
refused('client_id twice', post('/all/oauth2/token',
        form(%cc, id('app')) . '&client_id=app'), 400, 'invalid_client',
        @client);
refused('another type', token('all', form(%cc, id('app')),
        headers => { 'Content-Type' => 'text/plain' }), 400,
        'invalid_client', @client);
is(token('alone', { %cc, id('app') })->status, 500, 'a route of no service');


# --- TLS

refused('no TLS', post('/all/oauth2/token', { %cc, id('app'), state => 'z' },
        headers => { 'X-Forwarded-Proto' => 'http' }), 400, 'access_denied',
        'You must use HTTPS', state => 'z');
refused('not terminated before', token('tls', { %cc, id('app') }), 400,
        'access_denied', 'You must use HTTPS');
refused('two protocols', post('/all/oauth2/token', { %cc, id('app') },
        headers => { 'X-Forwarded-Proto' => 'https, http' }), 400,
        'access_denied', 'Only one X-Forwarded-Proto header allowed');
issued('TLS', $node->get_ssl('/tls/oauth2/token', method => 'POST',
       body => form(%cc, id('app'))));
refused('authorize, no TLS', post('/all/oauth2/authorize', \%user,
        headers => { 'X-Forwarded-Proto' => 'http' }), 400, 'access_denied',
        'You must use HTTPS');


# --- methods

for my $end ([ 'token', 'token' ], [ 'authorize', 'authorization' ]) {
    for my $method ('GET', 'PUT', 'DELETE') {
        my $text = "The HTTP method $method is invalid for the $end->[1] "
                   . 'endpoint';
        $a = $node->get("/realm/oauth2/$end->[0]", method => $method);
        is($a->status, 405, "$method $end->[0]");
        is_deeply($a->json, { error => 'invalid_method',
                              error_description => $text }, 'body');
        is($a->header('www-authenticate'), 'Bearer realm="gate" '
           . "error=\"invalid_method\" error_description=\"$text\"",
           'challenge');
    }
}


# --- password

my %pw = (grant_type => 'password', id('app'));
$j = issued('password', token('all', { %pw, %user, scope => 'read' }),
            refresh => 1);
is(bearer('all', $j->{access_token})->up('x-authenticated-userid'), 'joe',
   'user');
refused('no key', token('all', { %pw, authenticated_userid => 'joe' }), 400,
        'invalid_provision_key', 'Invalid provision_key');
refused('a wrong key', token('all', { %pw, %user, provision_key => 'x' }),
        400, 'invalid_provision_key', 'Invalid provision_key');
refused('another of its length', token('all', { %pw, %user,
        provision_key => 'the-provision-kez' }), 400, 'invalid_provision_key',
        'Invalid provision_key');
refused('no user', token('all', { %pw, %user, authenticated_userid => ' ' }),
        400, 'invalid_authenticated_userid',
        'Missing authenticated_userid parameter');

for my $bad ("a\r\nX-Admin: 1", "a\0b", "a\xffb", "\xc0\x80", 'x' x 5000) {
    refused('a user ' . length($bad), token('all', { %pw, %user,
            authenticated_userid => $bad }), 400,
            'invalid_authenticated_userid',
            'Invalid authenticated_userid parameter');
}

$j = issued('a user in UTF-8', token('all', { %pw, %user,
            authenticated_userid => "j\xc3\xb6" }), refresh => 1);
is(bearer('all', $j->{access_token})->up('x-authenticated-userid'), "j\x{f6}",
   'unchanged');
refused('another redirect_uri', token('all', { %pw, %user,
        redirect_uri => 'http://x/' }), 400, 'invalid_request',
        'Invalid redirect_uri that does not match with any redirect_uri '
        . 'created with the application');
issued('its second redirect_uri', token('all', { %pw, %user,
       redirect_uri => 'http://b.test/?x=y&a=%20b' }), refresh => 1);
refused('a client without any', token('all', { %pw, id('bare'), %user }), 400,
        'invalid_client', @client);
issued('no expiry', token('forever', { %pw, %user }), expires => undef);


# --- authorization_code

my %authorize = (response_type => 'code', client_id => 'app', %user);

$a = authorize('all', { %authorize });
is($a->status, 200, 'authorize');
like($a->json->{redirect_uri}, qr{^http://a\.test/back\?code=[A-Za-z0-9]{32}$},
     'where to go');
is($a->header('cache-control'), 'no-store', 'not to be kept');
$a = authorize('all', { %authorize, state => 'a b&c',
                        redirect_uri => 'http://b.test/?x=y&a=%20b' });
like($a->json->{redirect_uri}, qr{^http://b\.test/\?a=%20b&code=\w{32}&state=
                                  a%20b%26c&x=y$}x, 'with query and state');

my $code = code('all', 'app', scope => 'read', state => 's');
$j = issued('the code', use_code('all', 'app', $code, state => 't'),
            refresh => 1);
is($j->{state}, 't', 'state');
$a = bearer('all', $j->{access_token});
is($a->up('x-authenticated-scope'), 'read', 'scope');
is($a->up('x-authenticated-userid'), 'joe', 'user');
my @code = (400, 'invalid_request', 'Invalid code');
refused('once only', use_code('all', 'app', $code), @code);
refused('an unknown code', use_code('all', 'app', 'x' x 32), @code);
refused('no code', token('all', { grant_type => 'authorization_code',
                                  id('app') }), @code);
refused('a code that is none', use_code('all', 'app', $_), @code)
    for '', "a\0b", "\xff\xfe", 'x' x 20000, "' OR 1=1 --";

$code = code('all', 'app');
refused('of another client', use_code('all', 'other', $code), @code);
refused('of another service', use_code('none', 'app', $code), @code);
refused('with another redirect_uri', use_code('all', 'app', $code,
        redirect_uri => 'http://x/'), 400, 'invalid_request',
        'Invalid redirect_uri that does not match with any redirect_uri '
        . 'created with the application');
issued('which it outlives', use_code('all', 'app', $code), refresh => 1);

$code = code('all', 'app');
is($pg->query("SELECT round(extract(epoch FROM ttl - created_at)), "
   . "plugin_id FROM oauth2_authorization_codes WHERE code = '$code'"),
   "300|$plugin{all}{id}", 'good for five minutes');
$pg->query("UPDATE oauth2_authorization_codes SET ttl = "
           . "CURRENT_TIMESTAMP - interval '1 second' WHERE code = '$code'");
refused('too late', use_code('all', 'app', $code), @code);

refused('authorize: no key', authorize('all', { %authorize,
        provision_key => 'x', state => 's' }), 400, 'invalid_provision_key',
        'Invalid provision_key', state => 's');
refused('authorize: no user', authorize('all', { %authorize,
        authenticated_userid => '' }), 400, 'invalid_authenticated_userid',
        'Missing authenticated_userid parameter');
refused('authorize: nobody', authorize('all', { %authorize,
        client_id => 'x' }), 400, 'invalid_client', @client);
refused('authorize: no redirect_uris', authorize('all', { %authorize,
        client_id => 'bare' }), 400, 'invalid_client', @client);

sub sent_back
{
    my ($name, $a, $uri) = @_;

    is($a->status, 400, $name);
    is_deeply($a->json, { redirect_uri => $uri }, "$name: where to");
    is($a->header('cache-control'), 'no-store', "$name: not to be kept");
}

sent_back('authorize: another URI', authorize('all', { %authorize,
    redirect_uri => 'http://evil/', state => 's' }), 'http://a.test/back?'
    . 'error=invalid_request&error_description=Invalid%20redirect_uri%20that'
    . '%20does%20not%20match%20with%20any%20redirect_uri%20created%20with'
    . '%20the%20application&state=s');
sent_back('authorize: scope', authorize('all', { %authorize,
    scope => 'x' }), 'http://a.test/back?error=invalid_scope&'
    . 'error_description=%22x%22%20is%20an%20invalid%20scope');
sent_back('authorize: response_type', authorize('all', { %authorize,
    response_type => 'x' }), 'http://a.test/back?error='
    . 'unsupported_response_type&error_description=Invalid%20response_type');
sent_back('authorize: code is off', authorize('one', { %authorize }),
    'http://a.test/back?error=unsupported_response_type&error_description='
    . 'Invalid%20response_type');
sent_back('authorize: token is off', authorize('none', { %authorize,
    response_type => 'token' }), 'http://a.test/back?error='
    . 'unsupported_response_type&error_description=Invalid%20response_type');


# --- implicit

$a = authorize('all', { %authorize, response_type => 'token', state => 's-1',
                        client_id => 'frag', scope => 'write' });
is($a->status, 200, 'implicit');
like($a->json->{redirect_uri}, qr{^http://c\.test/p\#access_token=\w{32}&
     expires_in=7200&state=s%2d1&token_type=bearer$}x, 'in the fragment');
my ($implicit) = $a->json->{redirect_uri} =~ /access_token=(\w+)/;
is(bearer('all', $implicit)->up('x-authenticated-scope'), 'write', 'works');
is($pg->query("SELECT refresh_token FROM oauth2_tokens WHERE access_token = "
   . "'$implicit'"), '', 'no refresh token');
$a = authorize('all', { %authorize, response_type => 'token',
                        redirect_uri => 'http://b.test/?x=y&a=%20b' });
like($a->json->{redirect_uri}, qr{^http://b\.test/\?x=y&a=%20b\#access_token=},
     'the query stays');


# --- PKCE

my $verifier = 'v' x 43;
my $challenge = encode_base64url(sha256($verifier));
my %pkce = (code_challenge => $challenge, code_challenge_method => 'S256');
my @pkce = (400, 'invalid_request', 'code_verifier is required for PKCE '
            . 'authorization requests');

$code = code('all', 'app', %pkce);
refused('no verifier', use_code('all', 'app', $code), @pkce);
refused('a short one', use_code('all', 'app', $code,
        code_verifier => 'v' x 42), 400, 'invalid_request',
        'code_verifier must be between 43 and 128 characters');
refused('a long one', use_code('all', 'app', $code,
        code_verifier => 'v' x 129), 400, 'invalid_request',
        'code_verifier must be between 43 and 128 characters');
refused('two', post('/all/oauth2/token', form(id('app'), code => $code,
        grant_type => 'authorization_code') . '&code_verifier=a'
        . '&code_verifier=b'), 400, 'invalid_request',
        'code_verifier is not a string');
refused('another one', use_code('all', 'app', $code,
        code_verifier => 'w' x 43), 400, 'invalid_grant', 'Invalid code');
issued('the right one', use_code('all', 'app', $code,
       code_verifier => $verifier), refresh => 1);
$code = code('all', 'app', code_challenge => "$challenge=");
is($pg->query("SELECT challenge, challenge_method FROM "
   . "oauth2_authorization_codes WHERE code = '$code'"), "$challenge|S256",
   'one spelling');
issued('S256 is the default', use_code('all', 'app', $code,
       code_verifier => $verifier), refresh => 1);
$code = code('all', 'app', %pkce, code_challenge_method => 's256');
issued('s256', use_code('all', 'app', $code, code_verifier => $verifier),
       refresh => 1);

my $text = 'code_challenge_method%20is%20not%20supported%2c%20must%20be'
           . '%20S256';
sent_back('plain', authorize('all', { %authorize, %pkce,
    code_challenge_method => 'plain' }), 'http://a.test/back?error='
    . "invalid_request&error_description=$text");
sent_back('a method alone', authorize('all', { %authorize,
    code_challenge_method => 'S256' }), 'http://a.test/back?error='
    . 'invalid_request&error_description=code_challenge%20is%20required%20'
    . 'when%20code_method%20is%20present');

my $needs = 'http://a.test/back?error=invalid_request&error_description='
            . 'code_challenge%20is%20required%20for%20%s%20clients';
sent_back('lax: public', authorize('all', { %authorize,
    client_id => 'public' }), $needs =~ s/%s/public/r);
sent_back('strict: confidential', authorize('strict', { %authorize }),
          $needs =~ s/%s/confidential/r);
$code = code('all', 'public', %pkce);
my %public = (grant_type => 'authorization_code', client_id => 'public');
refused('public, no verifier', token('all', { %public, code => $code }),
        @pkce);
issued('public', token('all', { %public, code => $code,
                                code_verifier => $verifier }), refresh => 1);
$code = code('nopkce', 'public');
issued('pkce: none', token('nopkce', { %public, code => $code }),
       refresh => 1);

# a code from before the plugin was strict
$code = code('strict', 'app', %pkce);
$pg->query("UPDATE oauth2_authorization_codes SET challenge = NULL, "
           . "challenge_method = NULL WHERE code = '$code'");
refused('strict, a code without a challenge', use_code('strict', 'app', $code,
        code_verifier => $verifier), 400, 'invalid_grant', 'Invalid code');


# --- refresh_token

sub refresh
{
    my ($service, $name, $token, %o) = @_;

    return token($service, { grant_type => 'refresh_token', id($name),
                             refresh_token => $token, %o });
}

my @bad = (400, 'invalid_request', 'Invalid refresh_token');
my $first = issued('first', token('all', { %pw, %user, scope => 'read' }),
                   refresh => 1);
is(bearer('all', $first->{access_token})->status, 200, 'known');
my $next = issued('refreshed', refresh('all', 'app', $first->{refresh_token},
                  state => 'q'), refresh => 1);
is($next->{state}, 'q', 'state');
isnt($next->{refresh_token}, $first->{refresh_token}, 'another refresh token');
is(bearer('all', $next->{access_token})->up('x-authenticated-scope'), 'read',
   'the same scope');
is(bearer('all', $next->{access_token})->up('x-authenticated-userid'), 'joe',
   'the same user');
ok(wait_until(10, sub {
    bearer('all', $first->{access_token})->status == 401 }),
   'the old token is over');
refused('the old refresh token', refresh('all', 'app',
        $first->{refresh_token}), @bad);
refused('an unknown one', refresh('all', 'app', 'x'), @bad);
refused('none', token('all', { grant_type => 'refresh_token', id('app') }),
        @bad);
refused('of another service', refresh('none', 'app',
        $next->{refresh_token}), @bad);
refused('of another client', refresh('all', 'other', $next->{refresh_token}),
        400, 'invalid_client', @client);
refused('scopes that are no more', refresh('noscope', 'app',
        do {
            my $t = token('noscope', { %pw, %user })->json->{refresh_token};
            $pg->query("UPDATE oauth2_tokens SET scope = 'old' WHERE "
                       . "refresh_token = '$t'");
            $t;
        }), 400, 'invalid_scope', 'Scope mismatch');

$first = issued('reuse', token('reuse', { %pw, %user }), refresh => 1,
                expires => 5);
$next = issued('reused', refresh('reuse', 'app', $first->{refresh_token}),
               refresh => 1, expires => 5);
is($next->{refresh_token}, $first->{refresh_token}, 'the same refresh token');
isnt($next->{access_token}, $first->{access_token}, 'another access token');
is(bearer('reuse', $next->{access_token})->status, 200, 'which works');
is(bearer('reuse', $first->{access_token})->status, 401, 'in its place');
issued('again', refresh('reuse', 'app', $first->{refresh_token}),
       refresh => 1, expires => 5);

$j = issued('no ttl', token('keep', { %pw, %user }), refresh => 1);
is($pg->query("SELECT ttl IS NULL FROM oauth2_tokens WHERE access_token = "
   . "'$j->{access_token}'"), 't', 'refresh_token_ttl 0: kept');

$j = issued('short', token('short', { %pw, %user }), refresh => 1,
            expires => 1);
is(bearer('short', $j->{access_token})->status, 200, 'good');
ok(wait_until(10, sub {
    bearer('short', $j->{access_token})->status == 401 }), 'expires');
issued('can be refreshed', refresh('short', 'app', $j->{refresh_token}),
       refresh => 1, expires => 1);


# --- global credentials

$j = issued('global', token('global', { %cc, id('app') }));
is(bearer('global', $j->{access_token})->status, 200, 'here');
is(bearer('global2', $j->{access_token})->status, 200, 'and there');
$a = bearer('all', $j->{access_token});
is($a->status, 401, 'not where they are not global');
is($a->json->{error_description}, 'The access token is global, but the '
   . "current plugin is configured without 'global_credentials'", 'why');
$code = code('global', 'app');
refused('a code of another plugin', use_code('global2', 'app', $code), @code);
issued('of this one', use_code('global', 'app', $code), refresh => 1);


# --- of two at the same time exactly one

sub race
{
    my ($n, $body, $to) = @_;
    my @c = map { KongHttp->connect(($_ & 1 ? $node : $second)->{proxy}) }
            1 .. $n;

    $_->send("POST /$to/oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: "
             . "application/x-www-form-urlencoded\r\nX-Forwarded-Proto: "
             . 'https' . "\r\nContent-Length: " . length($body) . "\r\n\r\n"
             . $body) for @c;

    return map { $_->answer('POST') } @c;
}

for my $round (1 .. 5) {
    $code = code('all', 'app');
    my @a = race(8, form(id('app'), code => $code,
                         grant_type => 'authorization_code'), 'all');

    is(scalar(grep { $_->status == 200 } @a), 1, 'a code is redeemed once');
    is(scalar(grep { $_->status == 400
                     && $_->json->{error_description} eq 'Invalid code' } @a),
       7, 'and not more');
    my $t = (grep { $_->status == 200 } @a)[0]->json->{refresh_token};
    @a = race(8, form(id('app'), refresh_token => $t,
                      grant_type => 'refresh_token'), 'all');
    is(scalar(grep { $_->status == 200 } @a), 1, 'so is a refresh token');
}


# --- another node, and tokens that somebody else makes or takes away

for my $pair ([ $node, $second ], [ $second, $node ]) {
    my ($one, $two) = @$pair;
    $code = code('all', 'app', on => $one);
    $a = token('all', { grant_type => 'authorization_code', id('app'),
                        code => $code }, on => $two);
    $j = issued('a code of the other node', $a, refresh => 1);
    is(bearer('all', $j->{access_token}, $one)->status, 200, 'at once');
    is(bearer('all', $j->{access_token}, $two)->status, 200, 'on both');
}

admin('DELETE', "/oauth2_tokens/$j->{access_token}");
for my $on ($node, $second) {
    ok(wait_until(10, sub {
        bearer('all', $j->{access_token}, $on)->status == 401 }),
       'a token that is deleted');
}


admin('POST', '/oauth2_tokens', { credential => { id => $app{app}{id} },
    service => { id => admin('GET', '/services/all')->{id} },
    expires_in => 100, access_token => "own.token-\x{f6}" });
is(bearer('all', "own.token-\xc3\xb6", $second)->status, 200,
   'a token by the Admin API');
admin('DELETE', '/consumers/bob/oauth2/other');
is(token('all', { %cc, id('other') })->status, 400, 'an app that is deleted');

for my $bad ('x' x 7000, "\xff\xfe", "a\tb", "'; DROP TABLE x;--") {
    is(bearer('all', $bad)->status, 401, 'a token of ' . length($bad));
}


# --- what is over is removed

$pg->query('ALTER TABLE oauth2_tokens DISABLE TRIGGER USER; '
    . 'INSERT INTO oauth2_tokens (id, credential_id, access_token, ttl) '
    . "SELECT md5(n::text)::uuid, '$app{app}{id}', 'old' || n, "
    . "CURRENT_TIMESTAMP - interval '1 hour' FROM generate_series(1, 1500) n;"
    . 'ALTER TABLE oauth2_tokens ENABLE TRIGGER USER');
$second->stop;
($rc, $out, $err) = $second->start;
is($rc, 0, 'started again') or diag($err);
ok(wait_until(20, sub {
    $pg->query("SELECT count(*) FROM oauth2_tokens WHERE access_token LIKE "
               . "'old%'") eq '0' }), 'old rows are gone');


# --- clients that do not wait, and tokens made up by the hundred

$pg->pause;

for my $n (1 .. 20) {
    my $c = KongHttp->connect($second->{proxy});
    my $body = form(%cc, id('app'));
    $c->send("POST /all/oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: "
             . "application/x-www-form-urlencoded\r\nX-Forwarded-Proto: "
             . "https\r\nContent-Length: " . length($body)
             . "\r\n\r\n$body");
    nap(0.01);
    $c->close;
}

$pg->resume;
ok(wait_until(15, sub { token('all', { %cc, id('app') }, on => $second)
                        ->status == 200 }), 'they leave nothing behind');

$j = issued('one among many', token('all', { %cc, id('app') }));
my @c = map { KongHttp->connect($node->{proxy}) } 1 .. 300;
$c[$_]->send("GET /all HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
             . sprintf('%032d', $_) . "\r\n\r\n") for 0 .. $#c;
is(bearer('all', $j->{access_token})->status =~ /^(200|500)$/, 1,
   'an answer in between');
is(scalar(grep { $_->answer('GET')->status =~ /^(?:401|500)$/ } @c), 300,
   'none of them gives access');
is(bearer('all', $j->{access_token})->status, 200, 'the one does');
is(bearer('all', sprintf('%032d', 3))->status, 401, 'and no other');


# --- the daemon is gone, the database is gone

$j = issued('before', token('all', { %pw, %user }), refresh => 1);
is(bearer('all', $j->{access_token})->status, 200, 'known') for 1 .. 8;

$pg->pause;
my $begin = now();
is(bearer('all', $j->{access_token})->status, 200, 'a hung database: a known '
   . 'token') for 1 .. 50;
cmp_ok(now() - $begin, '<', 20, 'does not wait for it each time');
$begin = now();
is(token('all', { %cc, id('app') })->status, 500, 'no new one');
cmp_ok(now() - $begin, '<', 15, 'in time');
is(bearer('all', 'y' x 32)->status, 500, 'what is unknown stays unknown');
$pg->resume;
ok(wait_until(15, sub { token('all', { %cc, id('app') })->status == 200 }),
   'and back');

my $daemon = $node->controld;
kill('STOP', $daemon);
is(bearer('all', $j->{access_token})->status, 200, 'a hung daemon: a known '
   . 'token') for 1 .. 4;
$a = token('all', { %cc, id('app') });
is($a->status, 500, 'no new one');
like($a->json->{message}, qr/An unexpected error occurred/, 'says Kong');
kill('CONT', $daemon);
ok(wait_until(15, sub { token('all', { %cc, id('app') })->status == 200 }),
   'and back');

kill('KILL', $daemon);
ok(wait_until(10, sub { !alive($daemon) }), 'the daemon is killed');
is(bearer('all', $j->{access_token})->status, 200, 'no daemon: a known '
   . 'token') for 1 .. 8;
is(token('all', { %cc, id('app') })->status, 500, 'no new one');
is(authorize('all', { %authorize })->status, 500, 'no code');
is(token('all', { %cc, id('x') })->status, 400, 'errors are as before');

# the daemon's answers to workers are for nobody else
my $socket = "$second->{prefix}/sockets/ask.sock";
ok(-S $socket, 'a socket of its own');
is((stat($socket))[2] & 07, 0, 'closed to others');
is($second->admin($_, method => 'POST', body => '{}')->status, 404,
   "the Admin API has no $_") for '/ping', '/oauth2/token/new';
is(http($socket, $_->[0], method => 'POST', body => $_->[1])->status, $_->[2],
   "asked for $_->[0] with $_->[1]")
    for [ '/ping', '{}', 200 ], [ '/ping', 'x', 400 ], [ '/x', '{}', 400 ],
        [ '/oauth2/token/new', '{"credential":"x"}', 400 ],
        [ '/oauth2/token/find', '{"access_token":7}', 400 ],
        [ '/oauth2/token/find', '{"access_token":"x"}', 404 ],
        [ '/oauth2/token/find', '{}', 404 ],
        [ '/oauth2/token/new', '{}', 400 ], [ '/oauth2/code/new', '{}', 400 ],
        [ '/session/new', '{"id":"x"}', 400 ],
        [ '/session/new', '{"ttl":-1,"id":"x","data":"x"}', 400 ];

# hashes that are none
for my $hash ('', 'x', '$$$$', '$pbkdf2-sha512$i=1,l=3$AAAA', '$pbkdf2-$i=1,'
              . 'l=3$AAAA$AAAA', '$pbkdf2-x$i=1,l=3$AAAA$AAAA',
              '$pbkdf2-sha512$i=0,l=3$AAAA$AAAA', '$pbkdf2-sha512$i=9999999,'
              . 'l=3$AAAA$AAAA', '$pbkdf2-sha512$i=1,l=4$AAAA$AAAA',
              '$pbkdf2-sha512$i=1,l=3$AAAA$AAA!', '$pbkdf2-sha512$i=1,l=3$'
              . ('A' x 4000) . '$AAAA', '$pbkdf2-sha512$i=1,l=3$AAAA$AAAA$x') {
    is(http($socket, '/oauth2/secret', method => 'POST', body =>
        json_encode({ secret => 's', hash => $hash }))->status, 404,
       'hash ' . substr($hash, 0, 40));
}

# no token, code or secret is in a log
unlike($node->logs . $second->logs, qr/$j->{access_token}|$code|s:app/,
       'logs hold no secrets');

finish();
