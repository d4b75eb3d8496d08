# kong.conf and KONG_*: what they change in a running node.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $config = {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [ { name => 'a', paths => ['/a'], id =>
                      '11111111-1111-4111-8111-111111111111' },
                    { name => 'p', hosts => ['p.test:80'] } ]
    } ]
};

# from a file; the environment of the node overrides
my $node = node_new(config => $config, workers => 1);
my $conf = spit("$node->{dir}/kong.conf", <<"END");
# a comment
headers = off
headers_upstream = off
trusted_ips = 127.0.0.0/8
real_ip_header = X-Forwarded-For
real_ip_recursive = on
allow_debug_header = on
log_level = 'warn'
nginx_http_client_max_body_size = 1k
nginx_proxy_add_header = X-Injected yes
upstream_keepalive_pool_size = 0
port_maps = 80:$node->{proxy}
END

my ($rc, $out, $err) = $node->start('-c', $conf);
is($rc, 0, 'start -c') or diag($err);

my $a = $node->get('/a');
is($a->status, 200, 'it serves');
is($a->header($_), undef, "headers = off: no $_")
    for qw(via x-kong-proxy-latency x-kong-upstream-latency
           x-kong-request-id);
is($a->up('x-kong-request-id'), undef, 'headers_upstream = off');
is($a->header('x-injected'), 'yes', 'an injected nginx directive');
is($node->get('/none')->header('server'), undef, 'no Server either');

$a = $node->get('/a', headers => {
    'X-Forwarded-For' => '1.2.3.4, 5.6.7.8', 'X-Forwarded-Proto' => 'https',
    'X-Forwarded-Host' => 'pub.test', 'X-Forwarded-Port' => '8443',
    'X-Forwarded-Prefix' => '/pre', 'X-Forwarded-Path' => '/pre/a'
});
is($a->up('x-forwarded-proto'), 'https', 'a trusted X-Forwarded-Proto');
is($a->up('x-forwarded-host'), 'pub.test', 'Host');
is($a->up('x-forwarded-port'), '8443', 'Port');
is($a->up('x-forwarded-prefix'), '/pre', 'Prefix');
is($a->up('x-forwarded-path'), '/pre/a', 'Path');
is($a->up('x-real-ip'), '5.6.7.8', 'the real address');
like($a->up('x-forwarded-for'), qr/^1\.2\.3\.4, 5\.6\.7\.8, 127\.0\.0\.1$/,
     'X-Forwarded-For');

is($node->get('/', host => 'p.test')->status, 200,
   'port_maps: a route on the public port');
is($node->get('/a')->up('x-forwarded-port'), 80, 'which upstreams see');

is($node->get('/a', method => 'POST', body => 'x' x 2000)->status, 413,
   'nginx_http_client_max_body_size');

$a = $node->get('/a', headers => { 'Kong-Debug' => 1 });
is($a->header('kong-route-name'), 'a', 'Kong-Debug: the route');
is($a->header('kong-service-name'), 'echo', 'the service');
is($a->header('kong-route-id'), '11111111-1111-4111-8111-111111111111',
   'the id');

my $c = KongHttp->connect($node->{proxy});
my %seen;
for (1 .. 5) {
    my $r = $c->request('/a', headers => { 'X-Echo-Connection' => 1 });
    $seen{$r->json->{connection}}++;
}
is(scalar keys %seen, 5, 'no upstream keepalive with a pool of 0');

my $j = $node->admin('/')->json;
is($j->{configuration}{log_level}, 'warn', 'GET / shows the settings');
is_deeply($j->{configuration}{trusted_ips}, ['127.0.0.0/8'], 'as lists');
ok($node->stop, 'it stops');

# the environment alone, and over the file
$node->{env}{KONG_HEADERS} = 'X-Kong-Upstream-Status, server_tokens';
($rc, $out, $err) = $node->start('-c', $conf);
is($rc, 0, 'start with KONG_HEADERS') or diag($err);
$a = $node->get('/a', headers => { 'X-Echo-Status' => 418 });
is($a->header('x-kong-upstream-status'), 418, 'the environment wins');
like($a->header('via') || '', qr/kong/, 'server_tokens');
is($a->header('x-kong-proxy-latency'), undef, 'no latency_tokens');
ok($node->stop, 'it stops');

# an unprivileged user may run a node too
my @pw = getpwnam('nobody');
SKIP: {
    skip('not root', 2) if $> != 0 || !@pw;

    my $dir = temp_dir('nobody');
    chown($pw[2], $pw[3], $dir);
    my $other = node_new(config => $config, prefix => "$dir/prefix");
    chmod(0777, $other->{dir});

    ($rc, $out, $err) = run({ env => $other->{env}, dir => '/tmp' },
        'setpriv', "--reuid=$pw[2]", "--regid=$pw[3]", '--clear-groups',
        build() . '/kong', 'start', '-p', $other->{prefix});
    is($rc, 0, 'an unprivileged user starts a node') or diag($err);
    $other->{started} = 1;
    is($other->wait_status('/a', 200)->status, 200, 'it serves');
}

# templates of error bodies
spit("$node->{dir}/t.json", '{"oops":"%s","id":"%s"}');
my $t = node_start(config => $config, env => {
    KONG_ERROR_TEMPLATE_JSON => "$node->{dir}/t.json"
});
like($t->get('/none')->body,
     qr/^\{"oops":"no Route matched with those values","id":"[0-9a-f]{32}"\}/,
     'error_template_json');

finish();
