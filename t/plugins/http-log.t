# http-log: records posted; http_endpoint, method, content_type, headers,
# timeout, keepalive, custom_fields_by_lua; the parameters of queue:
# max_batch_size, max_coalescing_delay, max_entries, max_bytes,
# max_retry_time, initial_retry_delay, max_retry_delay, concurrency_limit;
# retry_count, queue_size and flush_timeout are old and change nothing.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongLog;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $dir = log_dir();

my %sink = map { $_ => sink_new('http') }
           qw(plain list slow fail down full bytes many kept gone);
$sink{chunked} = sink_new('http', chunked => 1);

sub http_log
{
    my ($name, %config) = @_;

    return [ { name => 'http-log', config => {
        http_endpoint => "http://127.0.0.1:$sink{$name}{port}/in?a=1",
        %config } } ];
}

# TLS: another nginx
my $tls = free_port();
run('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout',
    "$dir/key", '-out', "$dir/crt", '-days', 2, '-subj', '/CN=logs.test');
nginx_start('tls', <<"EOT");
server {
    listen 127.0.0.1:$tls ssl;
    ssl_certificate $dir/crt;
    ssl_certificate_key $dir/key;
    location / { proxy_pass http://127.0.0.1:$sink{kept}{port};
                 proxy_set_header X-Name \$ssl_server_name; }
}
EOT

my %plugins = (
    plain => http_log('plain', retry_count => 1, queue_size => 1,
                      flush_timeout => 1, custom_fields_by_lua => {
                          x => 'return 7' }),
    own => http_log('plain', method => 'PUT', keepalive => 0,
        http_endpoint => "http://us%40r:pa:ss\@Logs.Test:$sink{plain}{port}",
        content_type => 'application/json; charset=utf-8',
        headers => { 'X-A' => "b", 'X-C' => 'd e' }),
    list => http_log('list', queue => { max_batch_size => 3,
                                        max_coalescing_delay => 0.3 }),
    chunked => http_log('chunked'),
    tls => http_log('plain', http_endpoint => "https://logs.test:$tls/t"),
    fail => http_log('fail', queue => { initial_retry_delay => 0.05,
        max_retry_delay => 0.1, max_retry_time => 60 }),
    down => http_log('down', queue => { initial_retry_delay => 0.01,
        max_retry_time => 0.2, max_retry_delay => 0.05 }),
    full => http_log('full', queue => { max_entries => 5,
        initial_retry_delay => 0.2, max_retry_delay => 0.2 }),
    bytes => http_log('bytes', queue => { max_bytes => 9000,
        initial_retry_delay => 0.2, max_retry_delay => 0.2 }),
    gone => http_log('gone', queue => { max_bytes => 100 }),
    slow => http_log('slow', timeout => 300, queue => {
        initial_retry_delay => 0.05, max_retry_delay => 0.1 }),
    many => http_log('many', queue => { concurrency_limit => -1,
        max_batch_size => 20, max_coalescing_delay => 0.05 }),
);

my $node = node_start(
    workers => 1, hosts => "127.0.0.1 logs.test\n",
    config => log_config($upstream, %plugins));

# a request a record
$node->get('/plain');
my ($r) = $sink{plain}->wait(1);
is("$r->{method} $r->{uri}", 'POST /in?a=1', 'POST to the endpoint');
is($r->{headers}{host}, "127.0.0.1:$sink{plain}{port}", 'Host');
is($r->{headers}{'content-type'}, 'application/json', 'Content-Type');
is(json_decode($r->{body})->{route}{name}, 'plain', 'an object');
is(json_decode($r->{body})->{x}, 7, 'custom_fields_by_lua');

$node->get('/plain');
is(($sink{plain}->wait(2))[1]{connection}, $r->{connection},
   'the connection is kept');

$node->get('/own') for 1, 2;
my @r = ($sink{plain}->wait(4))[2, 3];
is("$r[0]{method} $r[0]{uri}", 'PUT /', 'method, an endpoint without a path');
is($r[0]{headers}{host}, "Logs.Test:$sink{plain}{port}", 'a host by name');
is($r[0]{headers}{'content-type'}, 'application/json; charset=utf-8',
   'content_type');
is($r[0]{headers}{'x-a'} . $r[0]{headers}{'x-c'}, 'bd e', 'headers');
is($r[0]{headers}{authorization}, 'Basic dXNAcjpwYTpzcw==', 'credentials');
isnt($r[0]{connection}, $r[1]{connection}, 'keepalive 0');

$node->get('/chunked') for 1, 2;
is(scalar $sink{chunked}->wait(2), 2, 'answers in chunks');

$node->get('/tls') for 1, 2;
@r = $sink{kept}->wait(2);
is($r[0]{uri}, '/t', 'TLS');
is($r[0]{headers}{'x-name'}, 'logs.test', 'with the name');

# batches
$node->get("/list/$_") for 1 .. 7;
ok(wait_until(10, sub {
    @r = map { json_decode($_->{body}) } $sink{list}->wait(3, 1);
    (grep { @$_ } @r) >= 3;
}), 'batches');
is_deeply([ map { scalar @$_ } @r ], [ 3, 3, 1 ], 'of three, and the rest');
is_deeply([ map { map { $_->{request}{uri} =~ /(\d+)$/ } @$_ } @r ],
          [ 1 .. 7 ], 'in their order');
$node->get('/list');
is(ref json_decode(($sink{list}->wait(4))[3]{body}), 'ARRAY',
   'one alone is an array, too');

# failures
$sink{fail}->status(503);
$node->get('/fail/1');
ok(wait_until(10, sub { $sink{fail}->count >= 3 }), 'tried again');
$sink{fail}->status(302);
nap(0.3);
$sink{fail}->status(201);
ok(wait_until(10, sub { $sink{fail}->text =~ /"status":"201"/ }),
   'until it is taken');
like($node->error_log, qr{http-log: "http://127\.0\.0\.1:\d+": .*2xx; they},
     'told: what was wrong');
nap(0.3);
is(scalar(() = $sink{fail}->text =~ /"status":"201"/g), 1, 'and then once');

$sink{down}->stop;
$node->get('/down');
ok(wait_until(10, sub {
    $node->error_log =~ /reached: 1 entries were lost/
}), 'max_retry_time: then it is lost');
$sink{down}->start;
$node->get('/down');
is(scalar $sink{down}->wait(1), 1, 'the next one is not');

# bounds: the first is on its way, the oldest of the others go
$sink{full}->status(500);
$node->get("/full/$_") for 1 .. 10;
$sink{full}->status(200);
ok(wait_until(10, sub {
    @r = grep { $_->{status} == 200 } $sink{full}->wait(5, 1);
    @r >= 5;
}), 'a full queue');
nap(0.3);
@r = grep { $_->{status} == 200 } $sink{full}->wait(5, 1);
is_deeply([ map { $_->{body} =~ m{"uri":"/full/(\d+)"} } @r ],
          [ 1, 7, 8, 9, 10 ], 'max_entries: the oldest are gone');
like($node->error_log, qr/the queue is full: \d+ entries were lost/, 'told');

$sink{bytes}->status(500);
$node->get("/bytes/$_") for 1 .. 20;
$sink{bytes}->status(200);
ok(wait_until(10, sub {
    grep { $_->{status} == 200 && $_->{body} =~ m{/bytes/20"} }
         $sink{bytes}->wait(1, 1)
}), 'max_bytes: the last is there');
my $n = grep { $_->{status} == 200 } $sink{bytes}->wait(1, 1);
ok($n >= 3 && $n <= 10, "$n of 20 fit");

$node->get('/gone');
ok(wait_until(5, sub { $node->error_log =~ /larger than max_bytes/ }),
   'an entry that is larger than the queue');

# a server that hangs
$sink{slow}->pause;
my $start = now();
$node->get("/slow/$_") for 1 .. 5;
cmp_ok(now() - $start, '<', 5, 'nobody waits');
ok(wait_until(10, sub { $node->error_log =~ /delivered: it timed out/ }),
   'timeout');
$sink{slow}->resume;
ok(wait_until(20, sub {
    my %uris = map { $_ => 1 } $sink{slow}->text =~ m{/slow/(\d+)\\"}g;
    keys %uris == 5
}), 'all come when it goes on') or diag($sink{slow}->text);

# one that closes instead of answering
$sink{kept}->status(0);
$node->get('/tls');
nap(0.2);
$sink{kept}->status(200);
is(scalar $sink{kept}->wait(3, 20), 3, 'one that closed is asked again');

# many at a time
my @pids = map {
    spawn(sub {
        my $conn = KongHttp->connect($node->{proxy});
        $conn->request("/many/$_") for 1 .. 250;
    })
} 1 .. 4;
my %ids;
ok(wait_until(60, sub {
    %ids = map { $_->{request}{id} => 1 }
           map { @{ json_decode($_->{body}) } } $sink{many}->wait(1, 1);
    keys %ids >= 1000
}), 'a thousand') or diag(scalar keys %ids);
kill_pid($_) for @pids;

# what waits for its batch is sent before the worker goes
$node->get('/list/end');
$node->stop;
ok(wait_until(10, sub { $sink{list}->text =~ m{/list/end} }), 'the end');

finish();
