# TLS on both sides: the generated default certificate, routes by SNI, and
# services with protocol https.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $dir = temp_dir('tls');
my $tls = free_port();

my ($rc, undef, $err) = run('openssl', 'req', '-x509', '-newkey', 'rsa:2048',
    '-nodes', '-days', 2, '-subj', '/CN=up.test', '-keyout', "$dir/key.pem",
    '-out', "$dir/cert.pem", '-addext', 'subjectAltName=DNS:up.test');
is($rc, 0, 'a certificate for the upstream') or diag($err);

nginx_start('tls-upstream', <<"END");
log_format up '\$ssl_server_name \$connection \$connection_requests';
server {
    listen 127.0.0.1:$tls ssl;
    ssl_certificate $dir/cert.pem;
    ssl_certificate_key $dir/key.pem;
    location / {
        return 200 '{"sni":"\$ssl_server_name","host":"\$http_host","uri":"\$request_uri","connection":\$connection,"protocol":"\$ssl_protocol"}';
    }
}
END

my $true = JSON::PP::true();
my $node = node_start(workers => 1, hosts => "127.0.0.1 up.test\n", config => {
    _format_version => '3.0',
    services => [
        { name => 'plain', url => "http://127.0.0.1:$upstream", routes => [
            { name => 'sni', paths => ['/sni'], snis => ['a.test'] },
            { name => 'any', paths => ['/any'] },
            { name => 'https', paths => ['/secure'],
              protocols => ['https'] } ] },
        { name => 'tls', url => "https://up.test:$tls/t", routes => [
            { name => 'tls', paths => ['/tls'] },
            { name => 'tls-host', paths => ['/kept'],
              preserve_host => $true } ] },
        { name => 'verified', url => "https://up.test:$tls",
          tls_verify => $true, retries => 0,
          routes => [ { name => 'verified', paths => ['/verified'] } ] },
    ]
});

# towards the client
my $a = $node->get_ssl('/any/x', sni => 'b.test');
is($a->status, 200, 'TLS with the default certificate');
is($a->up('x-forwarded-proto'), 'https', 'X-Forwarded-Proto');
is($a->up('x-forwarded-port'), $node->{proxy_ssl}, 'X-Forwarded-Port');

is($node->get_ssl('/sni', sni => 'a.test')->status, 200, 'a route by SNI');
is($node->get_ssl('/sni', sni => 'A.TEST')->status, 200, 'in any case');
is($node->get_ssl('/sni', sni => 'b.test')->status, 404, 'another SNI');
is($node->get_ssl('/sni')->status, 404, 'no SNI');
is($node->get('/sni')->status, 200, 'over plain HTTP the rule is met');
is($node->get_ssl('/secure')->status, 200, 'an https route');
is($node->get('/secure')->status, 426, 'not over plain HTTP');

my ($code, $out) = run({ timeout => 20 }, 'openssl', 's_client', '-connect',
                       "127.0.0.1:$node->{proxy_ssl}", '-tls1_1');
unlike($out, qr/Cipher is (?!\(NONE\))/, 'no TLS 1.1');

for my $version ('tls1_2', 'tls1_3') {
    ($code, $out) = run({ timeout => 20 }, 'openssl', 's_client', '-connect',
                        "127.0.0.1:$node->{proxy_ssl}", "-$version");
    like($out, qr/Cipher is (?!\(NONE\))/, $version);
}

# the key is nobody else's to read
my @keys = glob("$node->{prefix}/ssl/*.key");
cmp_ok(scalar @keys, '>', 0, 'a default key in the prefix');
is(sprintf('%04o', (stat($_))[2] & 07777), '0600', "mode of $_") for @keys;

# towards the upstream
$a = $node->get('/tls/x', host => 'client.test');
is($a->status, 200, 'an https service') or diag($a->body);
is_deeply([ @{ $a->json || {} }{qw(sni host uri)} ],
          [ 'up.test', "up.test:$tls", '/t/x' ], 'SNI, Host and path');

$a = $node->get('/kept/x', host => 'client.test');
is_deeply([ @{ $a->json || {} }{qw(sni host)} ],
          [ 'client.test', 'client.test' ], 'preserve_host changes the SNI');

my $first = ($node->get('/tls/1')->json || {})->{connection};
is(($node->get('/tls/2')->json || {})->{connection}, $first,
   'TLS connections are kept');
isnt(($node->get('/kept/1', host => 'client.test')->json || {})->{connection},
     $first, 'never across SNIs');

is($node->get('/verified')->status, 502, 'a certificate nobody vouches for');

finish();
