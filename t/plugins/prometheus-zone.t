# What prometheus counts, over workers: exact under load, kept by a reload and
# by whoever follows a killed worker, bounded when the zone is full; and real
# Prometheus, which must like the text.

use strict;
use warnings;

use JSON::PP ();
use KongEcho;
use KongHttp;
use KongLoad;
use KongMetrics;
use KongNode;
use KongTest;
use Test::More;

my $true = JSON::PP::true();
my %all = map { $_ => $true } qw(status_code_metrics latency_metrics
                                 bandwidth_metrics upstream_health_metrics);
my $echo = echo_start();

sub config
{
    my ($n, %o) = @_;

    return {
        _format_version => '3.0',
        upstreams => [ { name => 'u', targets => [
            { target => "127.0.0.1:$echo" } ] } ],
        services => [ { name => 'svc', url => 'http://u/', routes => [
            { name => 'end', paths => ['/end'], plugins => [
                { name => 'request-termination' } ] },
            map { { name => "r$_", paths => ["/r$_/"], %o } } 1 .. $n ] } ],
        plugins => [ { name => 'prometheus', config => { %all } } ]
    };
}

my $node = node_start(workers => 4, config => config(8),
                      allow => 'exited on signal 9');

sub requests
{
    my ($m, $route) = @_;

    return counted($m, qr/^kong_http_requests_total\{.*route="$route"/);
}

# the log phase comes after the answer
sub settled
{
    my ($route, $n) = @_;
    my $got;

    wait_until(10, sub {
        $got = requests(metrics($node), $route);
        $got >= $n;
    });

    return $got;
}


# --- four workers under load

sub load
{
    my (%o) = @_;
    my $load = load_start("http://127.0.0.1:$node->{proxy}/end",
                          connections => 32, seconds => 2, %o);

    return load_wait($load);
}

# what wrk has asked for and not waited for counts too: at most its connections
my $r = load();
my $m = metrics($node);
my $n = settled('end', $r->{requests});

cmp_ok($n, '>=', $r->{requests}, "all of $r->{requests} requests are counted");
cmp_ok($n, '<=', $r->{requests} + 32, '... once');

my $labels = 'service="svc",route="end",workspace="default"';

wait_until(10, sub {
    $m = metrics($node);
    $m->{value}{"kong_request_latency_ms_count{$labels}"} == $n;
});
is($m->{value}{"kong_request_latency_ms_count{$labels}"}, $n,
   'as many latencies');
is_deeply([ histogram($m, 'kong_request_latency_ms', $labels) ], [ 1 ],
          'which add up');

# every request and answer of this load has one size
my $bytes = counted($m, qr/^kong_bandwidth_bytes.*"end",direction="ingress"/);
is($bytes % $n, 0, 'bytes of all of them');


# --- single requests, exact

sub ask
{
    my ($route, $times) = @_;

    $node->get("/$route/") for 1 .. $times;
}

ask("r$_", 10 * $_) for 1 .. 4;
is(settled("r$_", 10 * $_), 10 * $_, "r$_: exact") for 1 .. 4;


# --- a reload

is(($node->reload)[0], 0, 'reload');
is(requests(metrics($node), 'end'), $n, 'counts are kept');
ask("r$_", 5) for 1 .. 4;
is(settled("r$_", 10 * $_ + 5), 10 * $_ + 5, "r$_: goes on") for 1 .. 4;


# --- another configuration, a route of another name

my $config = config(8);

$config->{services}[0]{routes}[1]{name} = 'renamed';
is($node->post_config($config)->status, 201, 'another configuration');
ask('r1', 3);
is(settled('renamed', 3), 3, 'the new name');
is(requests(metrics($node), 'r1'), 15, 'the old one stays as it was');


# --- killed workers

for my $pid ($node->worker_pids) {
    kill('KILL', $pid);
}

ok(wait_until(10, sub { scalar($node->worker_pids) == 4
                        && $node->get('/r2/')->status == 200 }),
   'all workers were killed');

my $before = settled('r2', 26);

is(requests(metrics($node), 'end'), $n, 'counts are kept');
ask('r2', 50);
is(settled('r2', $before + 50), $before + 50, '... and go on');

$r = load();
cmp_ok(settled('end', $n + $r->{requests}), '<=',
       $n + $r->{requests} + 32, 'exact under load again');


# --- Prometheus itself

SKIP: {
    my $tool = (grep { -x } map { "$_/promtool" } split(/:/, $ENV{PATH}))[0];

    skip('no promtool', 1) if !defined $tool;

    my $file = spit(temp_dir() . '/metrics.txt',
                    metrics($node)->{answer}->body);
    my (undef, $out, $err) = run({ timeout => 30 }, '/bin/sh', '-c',
                                 "$tool check metrics < $file");

    # Kong's names are what they are
    my %kong = map { $_ => 1 } qw(kong_bandwidth_bytes kong_kong_latency_ms
        kong_nginx_connections_total kong_nginx_requests_total
        kong_request_latency_ms kong_upstream_latency_ms);
    my @said = grep { !/^(\S+)/ || !$kong{$1} } split(/\n/, $out . $err);

    is("@said", '', 'promtool has nothing to say but what it says of Kong');
}

SKIP: {
    my $prometheus = (grep { -x } map { "$_/prometheus" }
                      split(/:/, $ENV{PATH}))[0];

    skip('no prometheus', 3) if !defined $prometheus;

    my $dir = temp_dir('prometheus');
    my $port = free_port();
    my $pid = spawn({ STDOUT => "$dir/log", STDERR => "$dir/log" },
        $prometheus, "--web.listen-address=127.0.0.1:$port",
        "--storage.tsdb.path=$dir/data", '--config.file='
        . spit("$dir/prometheus.yml", <<"EOT"));
global:
  scrape_interval: 1s
scrape_configs:
- job_name: kong
  static_configs:
  - targets: ['127.0.0.1:$node->{status}']
EOT

    my $query = sub {
        my ($text) = @_;
        my $answer = http($port, '/api/v1/query?query=' . $text);

        return undef if $answer->status != 200;

        my $result = $answer->json->{data}{result} or return undef;

        return @$result ? $result->[0]{value}[1] : undef;
    };

    ok(wait_until(60, sub { ($query->('up{job="kong"}') || 0) == 1 }),
       'a real Prometheus scrapes the node')
        or diag(slurp("$dir/log"));
    is($query->('sum(kong_http_requests_total{route="r3"})'), 35,
       '... and knows the counts');
    is($query->('kong_datastore_reachable'), 1, '... and gauges');

    kill_pid($pid);
}


# --- many series, a slow client, a small zone

my $many = 1500;
my $big = config($many);

# no upstream: the answers are ours, and the last families have no lines
$big->{services}[0]{plugins} = [ { name => 'request-termination' } ];
$big->{plugins}[0]{config}{upstream_health_metrics} = JSON::PP::false();
is($node->post_config($big)->status, 201, "$many routes");

my $c = KongHttp->connect($node->{proxy});

for my $i (1 .. $many) {
    $c->request("/r$i/");
}

settled("r$many", 1);
$m = metrics($node);
is(scalar(grep { /^kong_http_requests_total\{.*"r\d+",code="503"/ }
               keys %{ $m->{value} }), $many, 'a series each');
cmp_ok(length($m->{answer}->body), '>', 4_000_000,
       'a long answer, with no line twice');

# it asks and does not read: workers go on, and use no memory for it
my @slow = map { KongHttp->connect($node->{status}) } 1 .. 20;
my %rss = map { $_ => rss_kb($_) } $node->worker_pids;

$_->send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") for @slow;
nap(0.5);

is($node->get('/r1/')->status, 503, 'others are served meanwhile');

my ($more) = sort { $b <=> $a } map { rss_kb($_) - $rss{$_} } keys %rss;

cmp_ok($more, '<', 20_000, 'twenty that do not read cost little memory');
is($slow[0]->answer('GET')->status, 200, 'one that reads at last gets all');
@slow = ();

my $small = node_start(workers => 1, config => $big,
                       env => { KONG_KONG_METRICS_SIZE => '256k' });

$c = KongHttp->connect($small->{proxy});

my %status = map { $_ => 0 } 503, 'other';

for my $i (1 .. $many) {
    my $answer = $c->request("/r$i/");
    $status{$answer->status == 503 ? 503 : 'other'}++;
}

is($status{503}, $many, 'a full zone: all requests are answered');

my $refused;

ok(wait_until(10, sub {
    my $s = metrics($small);
    $refused = $s->{value}{kong_nginx_metric_errors_total};
    $refused + counted($s, qr/^kong_http_requests_total/) == $many;
}), 'each is counted, or counted as refused');
cmp_ok($refused, '>', 0, '... of these some');
like($small->error_log, qr/kong_metrics_zone is full/, '... and the log says');

finish();
