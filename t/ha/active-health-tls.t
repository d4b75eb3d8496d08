# Active health checks over TLS: what is trusted, under which name, what is
# shown, and that all of it is followed when it changes.

use strict;
use warnings;

use JSON::PP ();
use KongBalancer;
use KongCert;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $ca = cert_make(cn => 'authority', is_ca => 1);
my $other = cert_make(cn => 'another', is_ca => 1);
my $cert = cert_make(cn => 'tls.test', names => [ 'tls.test', 'b.test' ],
                     ca => $ca);
my $client = cert_make(cn => 'client', ca => $ca);
my $stranger = cert_make(cn => 'stranger', ca => $other);

my ($open, $closed) = (free_port(), free_port());
my $ssl = "ssl_certificate $cert->{cert_file};"
          . " ssl_certificate_key $cert->{key_file};";

my $dir = temp_dir('up');
my $server = nginx_start('up', <<"END");
log_format names '\$ssl_server_name|\$http_host|\$ssl_client_s_dn';
server {
    listen 127.0.0.1:$open ssl;
    $ssl
    access_log $dir/seen names;
    location / { return 200; }
}
server {
    listen 127.0.0.1:$closed ssl;
    $ssl
    ssl_verify_client optional_no_ca;
    access_log $dir/seen names;
    location / {
        if (\$ssl_client_s_dn != 'CN=client') { return 500; }
        return 200;
    }
}
END

sub checks
{
    my ($port, %o) = @_;
    my $active = delete $o{active} || {};
    my $host = delete $o{host} || '127.0.0.1';

    return { targets => [ [ "$host:$port" ] ], healthchecks => { active => {
        type => 'https', timeout => 2,
        healthy => { interval => 0.2, successes => 1 },
        unhealthy => { interval => 0.2, tcp_failures => 1,
                       http_failures => 1 },
        %$active } }, %o };
}

my $id = '11111111-1111-4111-8111-111111111111';
my %upstreams = (
    trusted => checks($open, active => { https_sni => 'tls.test' }),
    host => checks($open, host => 'b.test'),
    header => checks($open, host_header => 'tls.test:77'),
    wrong => checks($open, host => 'wrong.test'),
    'by-header' => checks($open, host => 'wrong.test',
                          active => { headers => { Host => [ 'tls.test' ] } }),
    address => checks($open),
    unasked => checks($open, host => 'wrong.test', active => {
        https_verify_certificate => JSON::PP::false() }),
    grpcs => checks($open, host => 'tls.test', active => {
        type => 'grpcs' }),
    shown => checks($closed, host => 'tls.test',
                    client_certificate => { id => $id }),
    unshown => checks($closed, host => 'tls.test'),
);

sub config
{
    my ($pair) = @_;

    return { %{ balancer_config(%upstreams) }, certificates => [ {
        id => $id, cert => $pair->{cert}, key => $pair->{key} } ] };
}

my $hosts = "127.0.0.1 tls.test b.test wrong.test\n";
my $node = node_start(workers => 1, hosts => $hosts,
    env => { KONG_LUA_SSL_TRUSTED_CERTIFICATE => $ca->{cert_file} },
    config => config($client));

sub state_of
{
    my ($at, $name) = @_;

    return http("$at->{prefix}/sockets/control.sock",
                "/health?upstream=$name")->json->[0]{addresses}[0]{health};
}

sub becomes
{
    my ($at, $name, $state, $what) = @_;

    ok(wait_until(20, sub { state_of($at, $name) eq $state }), $what)
        or diag(state_of($at, $name) . $at->logs);
}

becomes($node, $_->[0], 'UNHEALTHY', $_->[1]) for
    [ wrong => 'a certificate for another name' ],
    [ 'by-header' => 'a Host among the headers is no name' ],
    [ address => 'an address is no name in it' ],
    [ unshown => 'no certificate is shown' ];

ok(wait_until(20, sub {
    my $seen = slurp("$dir/seen") || '';
    !grep { index($seen, $_) < 0 } "tls.test|127.0.0.1|", "b.test|b.test|",
        "tls.test|tls.test:77|", "wrong.test|wrong.test|-\n",
        "|tls.test|CN=client";
}), 'names and certificates as they should be')
    or diag(join("\n", sort keys %{ { map { $_ => 1 }
                 split(/\n/, slurp("$dir/seen")) } }));

is(state_of($node, $_), 'HEALTHY', $_)
    for qw(trusted host header unasked grpcs shown);

# another certificate under the same id
is($node->post_config(config($stranger))->status, 201, 'another one');
becomes($node, 'shown', 'UNHEALTHY', 'is shown');
is($node->post_config(config($client))->status, 201, 'the first one');
becomes($node, 'shown', 'HEALTHY', 'is shown');

# the settings: what is trusted and shown where nothing else is said
$node->{env}{KONG_LUA_SSL_TRUSTED_CERTIFICATE} = $other->{cert_file};
$node->{env}{KONG_CLIENT_SSL} = 'on';
$node->{env}{KONG_CLIENT_SSL_CERT} = $client->{cert_file};
$node->{env}{KONG_CLIENT_SSL_CERT_KEY} = $client->{key};
is(($node->reload)[0], 0, 'reload');
becomes($node, 'trusted', 'UNHEALTHY', 'not trusted any more');
$node->{env}{KONG_LUA_SSL_TRUSTED_CERTIFICATE} = "system,$ca->{cert_file}";
is(($node->reload)[0], 0, 'reload');
becomes($node, 'trusted', 'HEALTHY', 'trusted again');
becomes($node, 'unshown', 'HEALTHY', 'the default is shown');

# what cannot be read blames nobody
ok($node->stop, 'stopped');
my $file = spit("$dir/ca.crt", $ca->{cert});
my $blind = node_start(workers => 1, hosts => $hosts,
    env => { KONG_LUA_SSL_TRUSTED_CERTIFICATE => $file });

unlink($file);
is($blind->post_config(config($client))->status, 201, 'another node');
ok(wait_until(20, sub {
    slurp("$blind->{prefix}/logs/controld.log") =~ /trusted_certificate\ names
        \ cannot\ be\ read/x;
}), 'which cannot read what it trusts');

my $probes = () = slurp("$dir/seen") =~ /^wrong\.test\|wrong\.test/mg;
ok(wait_until(20, sub {
    (() = slurp("$dir/seen") =~ /^wrong\.test\|wrong\.test/mg)
        >= $probes + 20;
}), 'probes what it need not trust');
is(state_of($blind, 'trusted'), 'HEALTHY', 'and says nothing of the rest');

finish();
