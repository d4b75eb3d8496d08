# prometheus and /metrics: what a real Kong 3.9.3 recorded for eight requests,
# every setting, and how the text is served.

use strict;
use warnings;

use IO::Socket::INET ();
use JSON::PP ();
use KongEcho;
use KongHttp;
use KongMetrics;
use KongNode;
use KongTest;
use Test::More;

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my %all = map { $_ => $true }
          qw(status_code_metrics latency_metrics bandwidth_metrics);


# --- the eight requests

# an upstream whose answers have the size of the recorded ones
my %size = ('/base/1' => 663, '/base/2' => 486, '/base' => 443);
my $sized = free_port();

{
    my $listener = IO::Socket::INET->new(Listen => 16, Proto => 'tcp',
                       LocalAddr => '127.0.0.1', LocalPort => $sized,
                       ReuseAddr => 1) or die "$sized: $!";

    spawn(sub {
        while (my $c = $listener->accept) {
            my ($head, $body) = ('', '');

            while ($head !~ /\r\n\r\n/) {
                sysread($c, $head, 8192, length($head)) or last;
            }

            my ($path) = $head =~ m{^\S+ ([^ ?]+)};
            my $status = $head =~ /x-echo-status: (\d+)/i ? $1 : 200;
            my $n = $size{$path || ''} || 0;

            syswrite($c, "HTTP/1.1 $status Echo\r\nServer: echo\r\nX-Echo: 1\r\n"
                         . "Content-Type: application/json\r\n"
                         . "Content-Length: $n\r\nConnection: close\r\n\r\n"
                         . 'x' x $n);
        }
    });
}

my $config = {
    _format_version => '3.0',
    upstreams => [ {
        name => 'u.test',
        healthchecks => { passive => { unhealthy => { tcp_failures => 3 } } },
        targets => [ { target => "127.0.0.1:$sized" } ]
    } ],
    services => [ {
        name => 'svc', url => 'http://u.test/base',
        routes => [
            { name => 'rt', paths => ['/x'],
              plugins => [ { name => 'key-auth' } ] },
            { name => 'open', paths => ['/o'] }
        ]
    } ],
    consumers => [ { username => 'alice', custom_id => 'a-1',
                     keyauth_credentials => [ { key => 'k' } ] } ],
    plugins => [ { name => 'prometheus', config => {
        %all, per_consumer => $true, upstream_health_metrics => $true } } ]
};

my $node = node_start(workers => 1, config => $config);
my $m = metrics($node);

is(counted($m, qr/^kong_(?:http|bandwidth|kong_lat|request_lat)/), 0,
   'nothing is counted before the first request');
ok(!grep({ /kong_http_requests_total|latency_ms|bandwidth/ } @{ $m->{head} }),
   '... and no family is shown without a line');

# what was recorded, as lines and bytes
my @requests = (
    map({ [ 'x/1?q=2&r=3', 'rt', 200, 90, 908, 'User-Agent: t/1',
            'apikey: k' ] } 1 .. 3),
    map({ [ 'o/2', 'open', 200, 108, 731, 'content-length: 2',
            'content-type: application/json' ] } 1 .. 2),
    [ 'x', 'rt-nobody', 401, 52, 372 ],
    [ 'none', '', 404, 55, 354 ],
    [ 'o', 'open', 500, 72, 688, 'x-echo-status: 500' ],
);

my %egress;

for my $q (@requests) {
    my ($path, $who, $status, $in, $out, @headers) = @$q;
    my $post = grep { /length/ } @headers;
    my $text = join("\r\n", ($post ? 'POST' : 'GET') . " /$path HTTP/1.1",
                    'host: a.test', 'connection: close', @headers, '',
                    $post ? '{}' : '');

    is(length($text), $in, "/$path: the request has the recorded length");

    my $c = KongHttp->connect($node->{proxy});
    $c->send($text);

    my $r = $c->answer('GET');
    my $extra = 0;

    is($r->status, $status, "/$path: $status");

    # a busy machine may need more than 9 ms
    for my $name (qw(x-kong-proxy-latency x-kong-upstream-latency
                     x-kong-response-latency))
    {
        my $ms = $r->header($name);
        $extra += length($ms) - 1 if defined $ms;
    }

    $egress{$who} += $out + $extra;
}

$m = metrics($node);

my $ws = 'workspace="default"';

# a line: name, then labels in their order
sub series
{
    my ($name, @labels) = @_;
    my @pairs;

    while (my ($label, $value) = splice(@labels, 0, 2)) {
        push @pairs, "$label=\"$value\"";
    }

    return "$name\{" . join(',', @pairs) . '}';
}

sub bandwidth
{
    my ($route, $direction, $consumer) = @_;

    return series('kong_bandwidth_bytes', service => 'svc', route => $route,
                  direction => $direction, workspace => 'default',
                  consumer => $consumer);
}

sub requests
{
    my ($service, $route, $code, $source, $consumer) = @_;

    return series('kong_http_requests_total', service => $service,
                  route => $route, code => $code, source => $source,
                  workspace => 'default', consumer => $consumer || '');
}

sub latency
{
    my ($name, $service, $route, @le) = @_;

    return series("kong_$name", service => $service, route => $route,
                  workspace => 'default', @le);
}

my %expected = (
    bandwidth('open', 'egress', '') => $egress{open},
    bandwidth('open', 'ingress', '') => 288,
    bandwidth('rt', 'egress', '') => $egress{'rt-nobody'},
    bandwidth('rt', 'egress', 'alice') => $egress{rt},
    bandwidth('rt', 'ingress', '') => 52,
    bandwidth('rt', 'ingress', 'alice') => 270,
    requests('svc', 'open', 200, 'service') => 2,
    requests('svc', 'open', 500, 'service') => 1,
    requests('svc', 'rt', 200, 'service', 'alice') => 3,
    requests('svc', 'rt', 401, 'kong') => 1,
    latency('kong_latency_ms_count', 'svc', 'open') => 3,
    latency('kong_latency_ms_count', 'svc', 'rt') => 4,
    latency('request_latency_ms_count', 'svc', 'open') => 3,
    latency('request_latency_ms_count', 'svc', 'rt') => 4,
    latency('upstream_latency_ms_count', 'svc', 'open') => 3,
    latency('upstream_latency_ms_count', 'svc', 'rt') => 3,
    latency('upstream_latency_ms_bucket', 'svc', 'rt', le => '+Inf') => 3,
);

my %got = map { $_ => $m->{value}{$_} }
          grep { /^kong_(?:bandwidth|http)|_ms_count|upstream.*"rt".*\+Inf/ }
          keys %{ $m->{value} };

is_deeply(\%got, \%expected, 'counted as Kong counts');

my $address = "127.0.0.1:$sized";
my @states = qw(dns_error healthchecks_off healthy unhealthy);

is_deeply([ map { $m->{value}{ series('kong_upstream_target_health',
                upstream => 'u.test', target => $address,
                address => $address, state => $_, subsystem => 'http') } }
            @states ],
          [ 0, 0, 1, 0 ], 'the target is healthy');

SKIP: {
    my $dir = shared_dir();
    my $file = $dir ? "$dir/conformance/metrics.txt" : '';

    skip('no recorded answers beside this checkout', 4) if !-f $file;

    my $kong = metrics_parse(slurp($file));
    my $ours = metrics_parse($m->{answer}->body
                             =~ s/127\.0\.0\.1:$sized/127.0.0.1:19000/gr);

    is_deeply([ grep { my $h = $_; grep { $_ eq $h } @{ $kong->{head} } }
                @{ $ours->{head} } ], $kong->{head},
              'every HELP and TYPE of Kong, in its order');
    is($m->{answer}->header('content-type'), 'text/plain; charset=UTF-8',
       'its type');

    # Kong's zones are not ours
    my @kong = lines($kong, qr/lua_shared_dict/);
    my %ours = map { $_ => 1 } lines($ours, qr/lua_shared_dict/);

    is_deeply([ grep { !$ours{$_} } @kong ], [],
              'every line of Kong, with its labels in their order');

    my %kong = map { $_ => 1 } @kong;
    my %family = map { /^# HELP (\S+)/ ? ($1 => 1) : () } @{ $kong->{head} };

    is_deeply([ grep { !$kong{$_} && $family{ s/\{.*|_(?:bucket|sum|count)\b.*//gr } }
                sort keys %ours ], [], 'no line more in its families');
}

# without values, without what differs from node to node
sub lines
{
    my ($t, $not) = @_;

    return sort map {
        s/node_id="[^"]*"/node_id=""/r =~ s/pid="\d+"/pid=""/r
        =~ s/version="[^"]*"/version=""/r
    } grep { !/$not/ } keys %{ $t->{value} };
}


# --- histograms

for my $name (qw(kong_kong_latency_ms kong_request_latency_ms
                 kong_upstream_latency_ms))
{
    for my $route (qw(rt open)) {
        my ($sound, $why) = histogram($m, $name, "service=\"svc\",route=\"$route\",$ws");
        ok($sound, "$name of $route adds up") or diag($why);
    }
}


# --- settings, scopes and labels

my $echo = echo_start();
my $host = "127.0.0.1:$echo";

sub plugin
{
    return { name => 'prometheus', config => { @_ } };
}

my $posted = $node->post_config({
    _format_version => '3.0',
    services => [
        { name => 'quiet~q', url => "http://$host/", routes => [
            map({ { name => "only-$_", paths => ["/only-$_"],
                    plugins => [ plugin("${_}_metrics" => $true) ] } }
                qw(status_code latency bandwidth ai upstream_health)),
            { name => 'nothing', paths => ['/nothing'] },
            { name => 'off', paths => ['/off'], plugins => [
                { %{ plugin(%all) }, enabled => $false } ] },
            { name => "caf\x{e9}\x{4e2d}", paths => ['/utf8'],
              plugins => [ plugin(%all) ] },
            { name => 'who', paths => ['/who'], plugins => [
                plugin(%all, per_consumer => $true),
                { name => 'key-auth', config => { anonymous => 'anon' } } ] },
            { name => 'any', paths => ['/any'], plugins => [
                plugin(%all), { name => 'key-auth' } ] },
            { name => 'end', paths => ['/end'], plugins => [
                plugin(%all), { name => 'request-termination',
                                config => { status_code => 418 } } ] },
        ] },
        { url => "http://$host/", id => '3f1c2a68-0000-4000-8000-000000000001',
          plugins => [ plugin(%all) ], routes => [
            { paths => ['/unnamed'],
              id => '3f1c2a68-0000-4000-8000-000000000002' } ] },
        { name => 'dead', url => 'http://127.0.0.1:1/', retries => 0,
          routes => [ { name => 'dead', paths => ['/dead'],
                        plugins => [ plugin(%all) ] } ] },
    ],
    routes => [ { name => 'alone', paths => ['/alone'], plugins => [
        plugin(%all), { name => 'request-termination' } ] } ],
    consumers => [
        { username => 'anon' },
        { username => "b\x{f6}b \"\\\n", keyauth_credentials =>
            [ { key => 'kb' } ] },
        { custom_id => 'c-1', keyauth_credentials => [ { key => 'kc' } ],
          plugins => [ plugin(per_consumer => $true,
                              status_code_metrics => $true) ] } ],
});

is($posted->status, 201, 'posted') or diag($posted->body);

my %before = %{ metrics($node)->{value} };

$node->get("/$_") for map({ "only-$_" }
    qw(status_code latency bandwidth ai upstream_health)), qw(nothing off);
$node->get($_) for qw(/utf8 /unnamed /alone /end /dead /any /who);
$node->get('/who', headers => { apikey => $_ }) for qw(kb kc);
$node->get('/any', headers => { apikey => $_ }) for qw(kb kc);
$node->get('/utf8', method => 'HEAD');

$m = metrics($node);

my @new = grep { !exists $before{$_} && !/_bucket|_sum/ }
          sort keys %{ $m->{value} };
my $q = 'quiet~q';

sub shown
{
    my ($label) = @_;

    return join(' ', map { /^kong_(\w+?)(?:_ms_count|_total|_bytes)\{/; $1 }
                     grep { index($_, $label) >= 0 } @new);
}

is(shown('route="only-status_code"'), 'http_requests', 'status_code_metrics');
is(shown('route="only-latency"'), 'kong_latency request_latency '
   . 'upstream_latency', 'latency_metrics');
is(shown('route="only-bandwidth"'), 'bandwidth bandwidth',
   'bandwidth_metrics');
is(shown('route="only-ai"'), '', 'ai_metrics: no plugin tells of any');
is(shown('route="only-upstream_health"'), '', 'upstream_health_metrics');
is(shown('route="nothing"'), '', 'no plugin, nothing is counted');
is(shown('route="off"'), '', '... nor by a disabled one');

is($m->{value}{ requests($q, "caf\xc3\xa9\xe4\xb8\xad", 200, 'service') },
   2, 'UTF-8 stays');
is($m->{value}{ requests('127.0.0.1', '3f1c2a68-0000-4000-8000-000000000002',
                         200, 'service') }, 1,
   'without names: host and id');
is($m->{value}{ requests('', 'alone', 503, 'kong') }, 1,
   'a route without a service');
is($m->{value}{ requests($q, 'end', 418, 'kong') }, 1,
   'an answer of a plugin is ours');
is($m->{value}{ latency('upstream_latency_ms_count', $q, 'end') }, undef,
   '... and has no latency of an upstream');
is($m->{value}{ requests('dead', 'dead', 502, 'kong') }, 1,
   'an upstream that is not there: the answer is ours');

my %who = map { /consumer="((?:[^"\\]|\\.)*)"/ ? ($1 => $m->{value}{$_}) : () }
          grep { /^kong_http_requests_total.*route="who"/ } @new;

is_deeply(\%who, { anon => 1, "b\xc3\xb6b \\\"\\\\\\n" => 1, '' => 1 },
          'per_consumer: by username, anonymous ones too; '
          . 'without a username there is no label');

my %any = map { /consumer="((?:[^"\\]|\\.)*)",?\}/
                ? ("$1 " . (/code="(\d+)"/)[0] => $m->{value}{$_}) : () }
          grep { /^kong_http_requests_total.*route="any"/ } @new;

is_deeply(\%any, { ' 401' => 1, ' 200' => 2 },
          'without per_consumer there is one series');


# --- statuses, more than there is room for at first

my @codes = map { 200 + $_ } 0 .. 40;

for my $code (@codes) {
    $node->get('/only-status_code', headers => { 'X-Echo-Status' => $code })
        for 1 .. 2;
}

$m = metrics($node);

is_deeply([ map { $m->{value}{ requests($q, 'only-status_code', $_,
                                          'service') } } @codes ],
          [ 3, (2) x 40 ], '41 statuses of one route');


# --- how it is served

for my $port ($node->{status}, $node->{admin}) {
    my $r = http($port, '/metrics');

    is($r->status, 200, 'on the admin and the status listener');
    like($r->body, qr/^kong_node_info\{node_id="[0-9a-f-]{36}",version=/m,
         '... with the node');
}

is(http($node->{status}, '/metrics', method => 'HEAD')->status, 200, 'HEAD');
is(http($node->{status}, '/metrics', method => 'OPTIONS')->status, 204,
   'OPTIONS');
is(http($node->{status}, '/metrics', method => 'POST', body => 'x')->status,
   405, 'POST');
is(http($node->{status}, '/metrics', version => '1.0')->status, 200,
   'HTTP/1.0');
is(http($node->{proxy}, '/metrics')->status, 404, 'not on the proxy');

# states of targets: checks that are off, one that is down, a name that leads
# nowhere
my $dead = free_port();

$node->post_config({
    _format_version => '3.0',
    upstreams => [
        { name => 'off', host_header => 'other.test', targets => [
            { target => "127.0.0.1:$echo" }, { target => '[::1]:81' },
            { target => 'nowhere.invalid' } ] },
        { name => 'down', targets => [ { target => "127.0.0.1:$dead" } ],
          healthchecks => { passive => { unhealthy =>
              { tcp_failures => 1 } } } } ],
    services => [ { name => 'down', host => 'down', retries => 0,
                    routes => [ { paths => ['/down'] } ] } ],
    plugins => [ plugin(upstream_health_metrics => $true) ],
});

$node->get('/down') for 1 .. 2;
$m = metrics($node);

my %state = map { /upstream="(\w+)",target="(.*?)",address="(.*?)",
                   state="(\w+)"/x && $m->{value}{$_} ? ("$1 $2 $3" => $4)
                                                      : () }
            grep { /^kong_upstream_target_health/ } keys %{ $m->{value} };

is_deeply(\%state, {
    "off 127.0.0.1:$echo 127.0.0.1:$echo" => 'healthchecks_off',
    'off [0000:0000:0000:0000:0000:0000:0000:0001]:81 [::1]:81'
        => 'healthchecks_off',
    'off nowhere.invalid:8000 ' => 'dns_error',
    "down 127.0.0.1:$dead 127.0.0.1:$dead" => 'unhealthy',
}, 'states of targets');

my $c = KongHttp->connect($node->{status});

is($c->request('/metrics')->status, 200, "a kept connection, $_")
    for 1 .. 3;

my $value = sub { metrics($node)->{value} };

kill('KILL', $node->controld);
ok(wait_until(10, sub { ($value->()->{controld_up} // 1) == 0 }),
   'controld is killed: /metrics says so');

finish();
