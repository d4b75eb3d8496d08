# TLS towards upstreams: client certificates, authorities of a service's own
# and the default ones, depth, and that connections are never shared between
# services that differ in them.

use strict;
use warnings;

use KongCert;
use KongLdap;
use KongNode;
use KongRedis;
use KongTest;
use MIME::Base64 'encode_base64';
use Test::More;

my $ca = cert_make(cn => 'ca.test', is_ca => 1);
my $middle = cert_make(cn => 'middle.test', is_ca => 1, ca => $ca);
my $other = cert_make(cn => 'other-ca.test', is_ca => 1);
my $up = cert_make(cn => 'up.test', ca => $ca);
my $deep = cert_make(cn => 'deep.test', ca => $middle);
my %client = map { $_ => cert_make(cn => "$_.client", type => 'ec',
                                   ca => $ca) } qw(one two default);
my $stranger = cert_make(cn => 'stranger.client', type => 'ec');

# servers of plugins
redis_skip();
ldap_skip();

my %served = (cert => $up->{cert_file}, key => $up->{key_file});
my $redis = redis_new(%served);
my $ldap = ldap_new(%served, users => { bob => 's3cret' });

my ($asks, $plain, $long) = (free_port(), free_port(), free_port());
my $chain = spit(temp_dir('certs') . '/chain.crt',
                 $deep->{cert} . $middle->{cert});

my $answer = 'return 200 \'{"dn":"$ssl_client_s_dn",'
    . '"verify":"$ssl_client_verify","connection":$connection,'
    . '"reused":"$ssl_session_reused","sni":"$ssl_server_name"}\';';

sub server
{
    my ($port, $crt, $key, $more) = @_;

    return "server { listen 127.0.0.1:$port ssl; ssl_certificate $crt;"
        . " ssl_certificate_key $key; $more location / { $answer } }\n";
}

nginx_start('upstream',
    server($asks, $up->{cert_file}, $up->{key_file},
           "ssl_verify_client optional;"
           . " ssl_client_certificate $ca->{cert_file};")
    . server($plain, $up->{cert_file}, $up->{key_file}, '')
    . server($long, $chain, $deep->{key_file}, ''));

sub id { return sprintf('00000000-0000-4000-8000-%012d', $_[0]) }

my $true = JSON::PP::true();
my $false = JSON::PP::false();

my %ids = (one => id(1), two => id(2), stranger => id(3));
my %certs = (%client, stranger => $stranger);

sub certificates
{
    my (%as) = @_;

    return [ map { {
        id => $ids{$_}, cert => $certs{ $as{$_} || $_ }{cert},
        key => $certs{ $as{$_} || $_ }{key} } } sort keys %ids ];
}

sub service
{
    my ($name, $port, %o) = @_;

    return { name => $name, host => 'up.test', port => $port,
             protocol => 'https', retries => 0, %o,
             routes => [ { name => $name, paths => [ "/$name" ] } ] };
}

sub plugin
{
    my ($name, $plugin) = @_;

    return { %{ service($name, $plain) }, plugins => [ $plugin ] };
}

sub config
{
    my (%as) = @_;

    return {
        _format_version => '3.0',
        certificates => certificates(%as),
        ca_certificates => [
            { id => id(11), cert => $ca->{cert} },
            { id => id(12), cert => $other->{cert} } ],
        upstreams => [
            { name => 'ring.test', client_certificate => id(1),
              targets => [ { target => "127.0.0.1:$asks" } ] } ],
        services => [
            service('one', $asks, client_certificate => id(1)),
            service('one-too', $asks, client_certificate => id(1)),
            service('two', $asks, client_certificate => id(2)),
            service('stranger', $asks, client_certificate => id(3)),
            service('none', $asks),
            service('ring', $asks, host => 'ring.test'),
            service('ring-two', $asks, host => 'ring.test',
                    client_certificate => id(2)),
            service('trusted', $plain, tls_verify => $true,
                    ca_certificates => [ id(11) ]),
            service('both', $plain, tls_verify => $true,
                    ca_certificates => [ id(12), id(11) ]),
            service('distrusted', $plain, tls_verify => $true,
                    ca_certificates => [ id(12) ]),
            service('unknown', $plain, tls_verify => $true,
                    ca_certificates => [ id(13) ]),
            service('unverified', $plain, tls_verify => $false,
                    ca_certificates => [ id(12) ]),
            service('default', $plain, tls_verify => $true),
            service('name', $plain, host => 'wrong.test',
                    tls_verify => $true),
            service('deep', $long, host => 'deep.test', tls_verify => $true,
                    ca_certificates => [ id(11) ]),
            service('deep-0', $long, host => 'deep.test',
                    tls_verify => $true, ca_certificates => [ id(11) ],
                    tls_verify_depth => 0),
            plugin('redis', { name => 'rate-limiting', config => {
                minute => 100, policy => 'redis', fault_tolerant => $false,
                redis => { host => '127.0.0.1', port => $redis->{tls},
                           ssl => $true, ssl_verify => $true,
                           server_name => 'up.test' } } }),
            plugin('ldap', { name => 'ldap-auth', config => {
                ldap_host => 'up.test', ldap_port => $ldap->{tls},
                ldaps => $true, verify_ldap_host => $true,
                base_dn => $ldap->{base}, attribute => 'uid' } }),
        ],
    };
}

my $hosts = "127.0.0.1 up.test wrong.test deep.test\n";
my $node = node_start(workers => 1, hosts => $hosts, config => config());

sub up
{
    my ($name, $on) = @_;
    my $a = ($on || $node)->get("/$name");

    return { %{ $a->json || {} }, status => $a->status };
}

is(up('one')->{dn}, 'CN=one.client', 'a client certificate');
is(up('one')->{verify}, 'SUCCESS', 'that the upstream trusts');
is(up('two')->{dn}, 'CN=two.client', 'another one');
is(up('none')->{verify}, 'NONE', 'none');
like(up('stranger')->{status}, qr/^400$/, 'one that nobody knows');
is(up('ring')->{dn}, 'CN=one.client', 'that of an upstream');
is(up('ring-two')->{dn}, 'CN=two.client', 'the service\'s own before it');

# connections
my %seen;

for my $round (1 .. 3) {
    for my $name (qw(one two none one-too)) {
        my $up = up($name);

        push @{ $seen{ $up->{connection} } }, $up->{dn};
    }
}

is(scalar(grep { my %dn = map { $_ => 1 } @$_; keys %dn > 1 } values %seen),
   0, 'no connection serves two certificates');
is(up('one')->{connection}, up('one-too')->{connection},
   'services with the same one share it');
isnt(up('one')->{connection}, up('ring')->{connection},
     'not with another name');

# verification
is(up('trusted')->{status}, 200, 'its own authority');
is(up('both')->{status}, 200, 'one of two');
is(up('distrusted')->{status}, 502, 'another authority');
is(up('unknown')->{status}, 502, 'one that is not there');
is(up('unverified')->{status}, 200, 'without verification');
is(up('default')->{status}, 502, 'the system does not know it');
is(up('deep')->{status}, 200, 'a chain of the default depth');
is(up('deep-0')->{status}, 502, 'a chain that is too long');

isnt(up('trusted')->{connection}, up('both')->{connection},
     'other authorities, another connection');
isnt(up('trusted')->{connection}, up('unverified')->{connection},
     'none is verified by another service');

# publishes
my $before = up('one')->{connection};

is($node->post_config(config(two => 'one', one => 'two'))->status, 201,
   'certificates change places');
is(up('one')->{dn}, 'CN=two.client', 'the next request has the other one');
is(up('two')->{dn}, 'CN=one.client', 'and the other way round');
isnt(up('one')->{connection}, $before, 'on another connection');
is(up('ring')->{dn}, 'CN=two.client', 'that of the upstream, too');

my $config = config();
$config->{services}[7]{ca_certificates} = [ id(12) ];
is($node->post_config($config)->status, 201, 'another authority');
is(up('trusted')->{status}, 502, 'is not the upstream\'s');
is(up('one')->{dn}, 'CN=one.client', 'and the first certificate again');

$config = config();
$config->{services}[0]{client_certificate} = id(4);
is($node->post_config($config)->status, 400, 'one that is not there');

my $error = $node->error_log;
unlike($error, qr/PRIVATE KEY/, 'no key in a log');

# the settings
my $set = node_start(workers => 1, hosts => $hosts, config => config(), env => {
    KONG_LUA_SSL_TRUSTED_CERTIFICATE =>
        "system,$other->{cert_file},$ca->{cert_file}",
    KONG_LUA_SSL_VERIFY_DEPTH => 0,
    KONG_CLIENT_SSL => 'on',
    KONG_CLIENT_SSL_CERT => $client{default}{cert_file},
    KONG_CLIENT_SSL_CERT_KEY => $client{default}{key_file},
});

is(up('default', $set)->{status}, 200, 'lua_ssl_trusted_certificate');

for my $case ([ $node, 500, 'not without it' ], [ $set, 200, 'with it' ]) {
    my ($on, $status, $what) = @$case;

    is($on->get('/redis')->status, $status, "Redis is trusted: $what");
    is($on->get('/ldap', headers => { 'Authorization' =>
            'ldap ' . encode_base64('bob:s3cret', '') })->status, $status,
       "the directory is trusted: $what");
}

is(up('distrusted', $set)->{status}, 502, 'not where a service has its own');
is(up('name', $set)->{status}, 502, 'a certificate for another name');
is(up('deep', $set)->{status}, 502, 'lua_ssl_verify_depth');
is(up('none', $set)->{dn}, 'CN=default.client', 'client_ssl');
is(up('one', $set)->{dn}, 'CN=one.client', 'not where a service has its own');
isnt(up('one', $set)->{connection}, up('none', $set)->{connection},
     'nor on its connection');

is(($set->reload)[0], 0, 'a reload');
$set->wait_status('/default', 200);
is(up('none', $set)->{dn}, 'CN=default.client', 'and the same again');

# as text
my $text = node_start(workers => 1, hosts => $hosts, config => config(), env => {
    KONG_LUA_SSL_TRUSTED_CERTIFICATE => $ca->{cert},
});

is(up('default', $text)->{status}, 200, 'the authority as text');
is(up('none', $text)->{verify}, 'NONE', 'no certificate by default');

finish();
