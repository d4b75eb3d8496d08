# tcp-log: lines over TCP and TLS; a server that is not there, dies, hangs and
# comes back; host, port, timeout, keepalive, tls, tls_sni,
# custom_fields_by_lua; what is in a queue when a worker ends.

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
my ($true, $false) = (JSON::PP::true(), JSON::PP::false());

my $sink = sink_new('tcp');
my $named = sink_new('tcp');
my $late = sink_new('tcp', later => 1);
my $hangs = sink_new('tcp');
my $short = sink_new('tcp');

# TLS: openssl prints what it gets
my $tls = free_port();
my @made = run('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes',
               '-keyout', "$dir/key", '-out', "$dir/crt", '-days', 2,
               '-subj', '/CN=logs.test');
is($made[0], 0, 'a certificate') or diag($made[2]);

# (its input must not end)
my $server = spawn({ STDOUT => "$dir/tls" }, sub {
    $^F = 255;
    pipe(my $in, my $out) or die $!;
    open(STDIN, '<&', $in) or die $!;
    exec('openssl', 's_server', '-accept', "127.0.0.1:$tls",
         '-key', "$dir/key", '-cert', "$dir/crt", '-servername', 'logs.test',
         '-cert2', "$dir/crt", '-key2', "$dir/key");
});

sub tcp_log
{
    my ($port, %config) = @_;

    return [ { name => 'tcp-log', config => {
        host => '127.0.0.1', port => $port, %config } } ];
}

my %plugins = (
    plain => tcp_log($sink->{port}, custom_fields_by_lua => {
        'x.y' => 'return kong.request.get_path()' }),
    named => tcp_log($named->{port}, host => 'Logs.Test'),
    late => tcp_log($late->{port}),
    hangs => tcp_log($hangs->{port}, timeout => 500),
    short => tcp_log($short->{port}, keepalive => 0),
    tls => tcp_log($tls, tls => $true, tls_sni => 'logs.test'),
);

my $node = node_start(
    workers => 4, hosts => "127.0.0.1 logs.test\n",
    config => log_config($upstream, %plugins));

$node->get('/plain/1?a=1');
my ($r) = $sink->wait(1);
is($r->{request}{uri}, '/plain/1?a=1', 'a line');
is($r->{route}{name}, 'plain', 'is a record');
is($r->{x}{y}, '/plain/1', 'custom_fields_by_lua');

$node->get('/named');
is(($named->wait(1))[0]{route}{name}, 'named', 'a host that has a name');

$node->get('/short') for 1 .. 3;
is(scalar $short->wait(3), 3, 'connections that are not kept');

$node->get('/tls') for 1 .. 2;
ok(wait_until(10, sub {
    (() = log_text("$dir/tls") =~ /^\{"request".*"route":.*\}$/mg) >= 2
}), 'TLS') or diag(log_text("$dir/tls"));
like(log_text("$dir/tls"), qr/Hostname in TLS extension: "logs\.test"/,
     'with the name');
kill_pid($server);

# a server that is not there yet
my $start = now();
$node->get('/late') for 1 .. 50;
cmp_ok(now() - $start, '<', 5, 'nobody waits');
like($node->error_log, qr/tcp-log: "127\.0\.0\.1": entries could not be/,
     'the log says so');
$late->start;
is(scalar $late->wait(50, 20), 50, 'when it comes it gets everything');

# one that dies and comes back
$late->stop;
wait_until(5, sub { $node->get('/late')->status == 200 });
$node->get('/late') for 1 .. 20;
$late->start;
ok(wait_until(20, sub { $late->count >= 65 }), 'one that comes back');

# one that hangs: it times out, and all is sent again
$hangs->pause;
$node->get('/hangs') for 1 .. 20;
nap(1);
$hangs->resume;
my %ids = ();
ok(wait_until(20, sub {
    %ids = map { $_ => 1 } $hangs->text =~ /"request":\{"id":"(\w+)"/g;
    keys %ids >= 20
}), 'one that hangs for a while');
is(scalar keys %ids, 20, 'no request is missing');

# every request, by four workers
my $before = $sink->count;
my @pids = map {
    spawn(sub {
        my $conn = KongHttp->connect($node->{proxy});
        $conn->request("/plain/$_") for 1 .. 250;
    })
} 1 .. 4;
my @all = $sink->wait($before + 1000, 60);
%ids = map { $_->{request}{id} => 1 } @all;
is(scalar @all, $before + 1000, 'four workers: all requests');
is(scalar keys %ids, scalar @all, 'each once');
kill_pid($_) for @pids;

# a reload takes nothing from what waits
$late->stop;
my $had = $late->count;
$node->get("/late/reload/$_") for 1 .. 10;
$node->reload;
$node->get("/late/reloaded/$_") for 1 .. 10;
$late->start;
ok(wait_until(20, sub {
    my %seen = map { $_ => 1 } $late->text =~ m{"uri":"/late/reload(?:ed)?/(\d+)"}g;
    my $n = () = $late->text =~ m{"uri":"/late/reload}g;
    keys %seen == 10 && $n >= 20
}), 'a reload') or diag($late->count - $had);

# nor does the end of the node, as long as somebody listens
$sink->pause;
$before = $sink->count;
$node->get("/plain/end") for 1 .. 10;
$sink->resume;
$node->stop;
ok(wait_until(10, sub { $sink->count >= $before + 10 }), 'the end');

finish();
