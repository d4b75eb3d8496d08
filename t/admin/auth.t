# Tokens and roles, the audit log, the warning of an open listener.

use strict;
use warnings;

use KongHttp;
use KongNode;
use KongPg;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

my $dir = temp_dir('auth');
my $file = spit("$dir/tokens", "# who may\n\nadmin file-token-0123456789 ci\n"
                               . "metrics metrics-token-012345\n");
chmod(0600, $file);

my $node = node_start(env => {
    $pg->env, KONG_ADMIN_TOKENS => 'read-only:reader-token-012345',
    KONG_ADMIN_TOKENS_FILE => $file
});

sub call
{
    my ($token, $method, $path, $body) = @_;

    return $node->admin($path, method => $method, headers => {
        'Content-Type' => 'application/json',
        defined $token ? (Authorization => "Bearer $token") : (),
    }, defined $body ? (body => json_encode($body)) : ())->status;
}

is(call(undef, 'GET', '/services'), 401, 'no token');
is(call('wrong-token-0123456789', 'GET', '/services'), 401, 'a wrong one');
is(call('', 'GET', '/services'), 401, 'an empty one');
is(call(undef, 'OPTIONS', '/services'), 204, 'what a browser asks first');

my $reader = 'reader-token-012345';
is(call($reader, 'GET', '/services'), 200, 'read-only: a read');
is(call($reader, 'POST', '/services', { host => 'h' }), 403, 'no POST');
is(call($reader, 'DELETE', '/services/x'), 403, 'no DELETE');
is(call($reader, 'PUT', '/services/x', { host => 'h' }), 403, 'no PUT');
is(call($reader, 'PATCH', '/services/x', { host => 'h' }), 403, 'no PATCH');

# what Kong's tools send
sub call_with
{
    return $node->admin('/services', headers => { @_ })->status;
}

is(call_with('Kong-Admin-Token' => $reader), 200, 'the other header');
is(call_with('Kong-Admin-Token' => 'wrong-token-0123456789'), 401,
   'a wrong one there');
is(call_with('Kong-Admin-Token' => $reader,
             Authorization => 'Bearer wrong-token-0123456789'), 401,
   'a bearer token comes first');

my $metrics = 'metrics-token-012345';
is(call($metrics, 'GET', '/'), 200, 'metrics: the node');
is(call($metrics, 'GET', '/metrics'), 200, 'what it is named after');
is($node->admin('/metrics')->status, 401, '... not for everybody');
is(http($node->{status}, '/metrics')->status, 200,
   '... but on the status listener');
is(call($metrics, 'GET', '/services'), 403, 'no entities');
is(call($metrics, 'GET', '/key-auths'), 403, 'no credentials');
is(call($metrics, 'GET', '/upstreams/u/health'), 403, 'no health');
is(call($reader, 'PUT', '/upstreams/u/targets/t/healthy'), 403,
   'read-only: health is not set');
is(call($reader, 'GET', '/upstreams/u/health'), 404, 'but asked for');
is(call($reader, 'POST', '/schemas/services/validate', {}), 403,
   'no POST whatever it does');
is(call(undef, 'GET', '/status'), 200, 'probes have no token: /status');
is(call(undef, 'GET', '/status/'), 401, 'nothing else by that name');
is(call(undef, 'GET', '/proxy-cache/x'), 401, 'nor is the cache open');
is(call(undef, 'DELETE', '/proxy-cache'), 401, 'to nobody');

# answered by nginx's workers, not by the daemon
is(call(undef, 'DELETE', '/proxy-cache'), 401, 'the cache: no token');
is(call($reader, 'DELETE', '/proxy-cache'), 403, 'the cache: no DELETE');
is(call($reader, 'GET', '/proxy-cache/' . '0' x 64), 404,
   'the cache: a read, of what is not there');
is(call($metrics, 'GET', '/proxy-cache/' . '0' x 64), 403,
   'the cache is no metric');

my $admin = 'file-token-0123456789';
is(call($admin, 'DELETE', '/proxy-cache'), 204, 'admin: the cache is emptied');
is(call($admin, 'PUT', '/services/x', { host => 'h' }), 200, 'admin: PUT');
is(call($admin, 'PATCH', '/services/x', { host => 'g' }), 200, 'PATCH');
is(call($admin, 'DELETE', '/services/x'), 204, 'DELETE');

my $log = slurp("$node->{prefix}/logs/controld.log");
like($log, qr{audit: ci PUT /services/x: 200, before none, after [0-9a-f]{16}},
     'the log: made');
like($log, qr{audit: ci PATCH /services/x: 200, before [0-9a-f]{16}, },
     'changed');
like($log, qr{audit: ci DELETE /services/x: 204, before [0-9a-f]{16}, after none},
     'gone');
unlike($log, qr/token-0123/, 'no token in the log');
unlike($log, qr/OPEN TO OTHERS/, 'nothing is open');
unlike($node->admin('/', headers => { Authorization => "Bearer $admin" })
       ->body, qr/token-0123/, 'no token in GET /');

# a file with a fault changes nothing
spit($file, "nobody x\n");
$node->reload;
is(call($admin, 'GET', '/services'), 200, 'the tokens before stay');

spit($file, "admin other-token-0123456789 ops\n");
chmod(0600, $file);
$node->reload;
ok(wait_until(5, sub { call($admin, 'GET', '/services') == 401 }),
   'a token that was taken away');
is(call('other-token-0123456789', 'GET', '/services'), 200, 'the new one');


# --- client certificates

my $tls = temp_dir('mtls');

sub openssl
{
    my ($rc, $out, $err) = run({ dir => $tls }, 'openssl', @_);
    die "openssl: $err" if $rc != 0;
}

for my $ca (qw(ours theirs)) {
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 2,
            '-subj', "/CN=$ca", '-keyout', "$ca.key", '-out', "$ca.crt");
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj',
            "/O=Ops Team/CN=client of $ca", '-keyout', "$ca-client.key",
            '-out', "$ca-client.csr");
    openssl('x509', '-req', '-in', "$ca-client.csr", '-CA', "$ca.crt",
            '-CAkey', "$ca.key", '-CAcreateserial', '-days', 2,
            '-out', "$ca-client.crt");
}

my $port = free_port();
my $guarded = node_start(env => {
    $pg->env, KONG_ADMIN_LISTEN => "127.0.0.1:$port ssl",
    KONG_NGINX_ADMIN_SSL_CLIENT_CERTIFICATE => "$tls/ours.crt",
    KONG_NGINX_ADMIN_SSL_VERIFY_CLIENT => 'on',
});

sub with
{
    my ($name, $path, %o) = @_;

    return https($port, $path, %o, args => [ defined $name
        ? ('--cert', "$tls/$name-client.crt", '--key',
           "$tls/$name-client.key") : () ]);
}

is(with(undef, '/services')->status, 400, 'no certificate');
is(with('theirs', '/services')->status, 400, 'one of another authority');
is(with('ours', '/services')->status, 200, 'the right one');
is(with(undef, '/status')->status, 400, '/status is no exception here');
is(with(undef, '/services', headers => {
       'X-Client-Verify' => 'SUCCESS', 'X-Client-Subject' => 'CN=me' })
   ->status, 400, 'a header is no certificate');

with('ours', '/consumers/mtls', method => 'PUT', body => '{}', headers => {
    'Content-Type' => 'application/json', 'X-Client-Subject' => 'CN=me' });
like(slurp("$guarded->{prefix}/logs/controld.log"),
     qr{audit: CN=client_of_ours,O=Ops_Team PUT /consumers/mtls: 200},
     'the log says who');

finish();
