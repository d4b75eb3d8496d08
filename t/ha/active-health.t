# Active health checks with real servers: what dies, hangs, answers badly or
# breaks its handshake is found and left alone, and comes back by itself; no
# client sees any of it.  The daemon is killed meanwhile, nginx reloaded.

use strict;
use warnings;

use IO::Socket::INET ();
use JSON::PP ();
use KongBalancer;
use KongHttp;
use KongNode;
use KongTest;
use POSIX ();
use Test::More;

my (%server, %port);

# a real nginx on a port of its own that logs what it is asked; a file "bad"
# in its folder makes it answer 500
sub server
{
    my ($name, %o) = @_;
    my $port = $port{$name} ||= free_port();
    my $dir = temp_dir($name);
    my $ssl = $o{ssl} ? ' ssl' : '';
    my $status = $o{status} || 200;

    cert($dir) if $ssl;
    unlink("$dir/nginx.pid");
    $server{$name} = nginx_start($name, <<"END");
log_format seen '\$request|\$http_host|\$http_cookie|\$http_accept'
                '|\$http_user_agent|\$ssl_server_name';
server {
    listen 127.0.0.1:$port$ssl;
    @{[ $ssl ? "ssl_certificate $dir/c.pem; ssl_certificate_key $dir/k.pem;"
             : '' ]}
    access_log $dir/seen seen;
    location / {
        if (-f $dir/bad) { return 500; }
        return $status "$port";
    }
}
END

    return $port;
}

sub cert
{
    my ($dir) = @_;

    return if -f "$dir/c.pem";

    my ($rc, undef, $err) = run('openssl', 'req', '-x509', '-newkey',
        'rsa:2048', '-nodes', '-subj', '/CN=tls.test', '-addext',
        'subjectAltName=DNS:tls.test', '-days', 2, '-keyout', "$dir/k.pem",
        '-out', "$dir/c.pem");
    die $err if $rc != 0;
}

sub seen { return slurp("$server{$_[0]}{dir}/seen") || '' }

sub probes { return scalar(() = seen($_[0]) =~ m{ HTTP/1\.0\|}g) }

# the whole server, as if its machine were gone, or asleep
sub signal
{
    my ($name, $signal) = @_;
    my $pid = $server{$name}{pid};

    kill($signal, $pid, keys %{ { descendants($pid) } });
}

sub die_now
{
    my ($name) = @_;

    signal($name, 'KILL');
    kill_pid($server{$name}{pid});
}

sub active
{
    my ($active, %more) = @_;
    my ($healthy, $unhealthy) = (delete $active->{healthy},
                                 delete $active->{unhealthy});

    return { healthchecks => { active => {
        timeout => 0.4,
        healthy => { interval => 0.2, successes => 2, %{ $healthy || {} } },
        unhealthy => { interval => 0.2, tcp_failures => 2, timeouts => 2,
                       http_failures => 2, %{ $unhealthy || {} } },
        %$active
    }, %{ delete $more{healthchecks} || {} } }, %more };
}

sub at { return map { [ "127.0.0.1:$port{$_}" ] } @_ }

# says this to whoever connects, and closes
sub speaker
{
    my ($name, $text) = @_;
    my $listener = IO::Socket::INET->new(Listen => 64, Proto => 'tcp',
        LocalAddr => '127.0.0.1', LocalPort => $port{$name} = free_port(),
        ReuseAddr => 1) or die $!;

    spawn(sub {
        while (my $c = $listener->accept) {
            $c->recv(my $request, 4096) if $text ne '';
            syswrite($c, $text) if $text ne '';
            close($c);
        }
    });
}

my $node;

sub state_of
{
    my ($upstream, $name) = @_;

    return balancer_targets($node, $upstream)->{$port{$name}}{health} || '';
}

sub becomes
{
    my ($upstream, $name, $state, $what) = @_;
    my $ok = wait_until(20, sub { state_of($upstream, $name) eq $state });

    ok($ok, $what) or diag(state_of($upstream, $name), $node->logs);
}

# so many more probes are seen, whatever they say
sub probed
{
    my ($name, $n) = @_;
    my $from = probes($name);

    return wait_until(20, sub { probes($name) >= $from + $n });
}

server($_) for qw(a b c plain weightless passive marked once);
server('tls', ssl => 1);
server('strange', status => 418);
speaker(garbage => "SSH-2.0-nothing\r\n");
speaker(mute => '');
$port{tcp} = $port{a};
$port{nobody} = free_port();

my %upstreams = (
    pool => active({ headers => { Cookie => [ 'one', 'two' ] },
                     http_path => '/look/../here%20c' },
                   targets => [ at(qw(a b c)) ], host_header => 'pool.test',
                   service => { read_timeout => 300 }),
    plain => active({}, targets => [ at('plain'),
                                     [ "127.0.0.1:$port{weightless}", 0 ] ]),
    tls => active({ type => 'https', https_sni => 'tls.test',
                    https_verify_certificate => JSON::PP::false() },
                  targets => [ at('tls') ]),
    untrusted => active({ type => 'https', https_sni => 'tls.test' },
                        targets => [ at('tls') ]),
    refused => active({ type => 'https',
                        https_verify_certificate => JSON::PP::false() },
                      targets => [ at('a') ]),
    tcp => active({ type => 'tcp' }, targets => [ at(qw(tcp nobody)) ]),
    strange => active({}, targets => [ at('strange') ]),
    spoken => active({}, targets => [ at(qw(garbage mute)) ]),
    grpc => active({ type => 'grpc' }, targets => [ at('a') ]),
    passive => { targets => [ at('passive') ], healthchecks => { passive => {
        unhealthy => { http_failures => 1, http_statuses => [ 500 ] } } } },
    marked => active({ healthy => { interval => 0 } },
                     targets => [ at('marked') ],
                     healthchecks => { passive => { unhealthy => {
                         http_failures => 1, http_statuses => [ 500 ] } } }),
    once => active({ unhealthy => { interval => 0 } },
                   targets => [ at('once') ]),
    named => active({}, targets => [ [ "both.test:$port{plain}" ],
                                     [ "none.test:$port{plain}" ] ]),
);

$node = node_start(workers => 2, config => balancer_config(%upstreams),
                   hosts => "127.0.0.1 both.test\n127.0.0.9 both.test\n",
                   allow => qr/worker process \d+ exited on signal 9/);

# what a probe looks like
ok(probed('a', 3), 'probes arrive');
like(seen('a'), qr{^GET /look/\.\./here%20c HTTP/1\.0\|pool\.test\|one; two\|-\|-\|}m, 'path, Host and headers, no others')
    or diag(seen('a'));
ok(probed('weightless', 2), 'weight 0 is probed');
like(seen('plain'), qr{^GET / HTTP/1\.0\|127\.0\.0\.1\|-\|}m,
     'Host of an address, without the port');
like(seen('plain'), qr{^GET / HTTP/1\.0\|both\.test\|}m, 'and of a name');
becomes('tls', 'tls', 'HEALTHY', 'https');
ok(probed('tls', 2), 'is probed');
like(seen('tls'), qr{^GET / HTTP/1\.0\|127\.0\.0\.1\|-\|-\|-\|tls\.test$}m,
     'https_sni');
becomes('untrusted', 'tls', 'UNHEALTHY', 'a certificate of nobody');
becomes('refused', 'a', 'UNHEALTHY', 'no TLS on the other side');
becomes('tcp', 'nobody', 'UNHEALTHY', 'tcp: refused');
is(state_of('tcp', 'tcp'), 'HEALTHY', 'tcp: accepted');
becomes('spoken', 'garbage', 'UNHEALTHY', 'an answer that is no HTTP');
becomes('spoken', 'mute', 'UNHEALTHY', 'no answer');
is(state_of('grpc', 'a'), 'HEALTHY', 'grpc: as http');

ok(probed('strange', 4), 'a status of neither list');
is(state_of('strange', 'strange'), 'HEALTHY', 'says nothing');

# a name of two addresses, one of which nobody listens on
ok(wait_until(20, sub {
    my $all = http("$node->{prefix}/sockets/control.sock",
                   '/health?upstream=named')->json->[0]{addresses};

    return join(' ', map { "$_->{address} $_->{health}" }
                     sort { $a->{address} cmp $b->{address} } @$all)
        eq "127.0.0.1:$port{plain} HEALTHY 127.0.0.9:$port{plain} UNHEALTHY";
}), 'each address of a name') or diag($node->logs);

my $data = $node->admin('/upstreams/named/health')->json->{data};
my %health = map { $_->{target} => $_ } @$data;
is($health{"both.test:$port{plain}"}{health}, 'HEALTHY', 'one is enough');
is_deeply($health{"both.test:$port{plain}"}{data}{weight},
          { total => 200, available => 100, unavailable => 100 }, 'weights');
is($health{"none.test:$port{plain}"}{health}, 'DNS_ERROR', 'no address');

# load, while servers die, hang and answer badly
sub client
{
    my $out = temp_dir() . '/client';

    return { out => $out, pid => spawn(sub {
        my %seen;
        $SIG{TERM} = sub {
            spit($out, join("\n", map { "$_ $seen{$_}" } sort keys %seen));
            POSIX::_exit(0);
        };
        while (1) {
            $seen{$node->get('/pool')->status}++;
            nap(0.005);
        }
    }) };
}

sub client_end
{
    my ($client, $what) = @_;

    kill('TERM', $client->{pid});
    ok(wait_until(10, sub { -s $client->{out} }), 'the client has ended');
    my $text = slurp($client->{out});
    like($text, qr/^200 \d+$/, "$what: no client has seen a failure")
        or diag($text);
    kill_pid($client->{pid});
    unlink($client->{out});
}

my $client = client();

die_now('a');
becomes('pool', 'a', 'UNHEALTHY', 'dead: refuses');
server('a');
becomes('pool', 'a', 'HEALTHY', 'started again');

signal('b', 'STOP');
becomes('pool', 'b', 'UNHEALTHY', 'hanging: says nothing');
signal('b', 'CONT');
becomes('pool', 'b', 'HEALTHY', 'goes on');

# a reload and another configuration know; the daemon gone, states stay
die_now('a');
becomes('pool', 'a', 'UNHEALTHY', 'dead again');
is(($node->reload)[0], 0, 'reload');
ok(probed('b', 3), 'probes go on');
is(state_of('pool', 'a'), 'UNHEALTHY', 'a reload knows');
client_end($client, 'die, hang, reload');
server('a');
becomes('pool', 'a', 'HEALTHY', 'and up again');

# a wrong status
spit("$server{c}{dir}/bad", '');
ok(wait_until(20, sub { state_of('pool', 'c') eq 'UNHEALTHY' }), 'errors');
unlink("$server{c}{dir}/bad");
becomes('pool', 'c', 'HEALTHY', 'no more errors');

my $log = $node->error_log;

for ([ a => 'tcp' ], [ b => 'timeout' ], [ c => '500' ]) {
    my ($name, $why) = @$_;

    ok($log =~ /\[warn\]\ \d+\#\d+:\ \[healthcheck\]\ \(pool\)\ target
                \ "pool\.test\(127\.0\.0\.1:$port{$name}\)"\ is\ unhealthy
                \ now,\ by\ active\ checks:\ $why\ \(2\/2\)$/mx,
       "the log: $why") or diag($node->logs);
}

is(scalar(() = $log =~ /\(pool\) target "\S+:$port{a}\)" is healthy now/g), 2,
   'a line a change');


# what passive checks and the Admin API mark
sub fail_once
{
    my ($name) = @_;

    spit("$server{$name}{dir}/bad", '');
    is($node->get("/$name")->status, 500, "$name: an error");
    is(state_of($name, $name), 'UNHEALTHY', 'is enough');
    unlink("$server{$name}{dir}/bad");
}

sub put
{
    my ($upstream, $name, $state) = @_;

    return $node->admin("/upstreams/$upstream/targets/127.0.0.1:$port{$name}/"
                        . $state, method => 'PUT')->status;
}

is(probes('marked'), 0, 'what is healthy is not probed at an interval of 0');
fail_once('marked');
becomes('marked', 'marked', 'HEALTHY', 'active checks bring it back');
my $count = probes('marked');
cmp_ok($count, '>=', 2, 'by probes');

fail_once('passive');
nap(1);
is(probes('passive'), 0, 'nobody probes an upstream with passive checks');
is(state_of('passive', 'passive'), 'UNHEALTHY', 'it stays as it is');
is($node->get('/passive')->status, 503, 'unused');
is(put('passive', 'passive', 'healthy'), 204, 'until it is told');
is($node->get('/passive')->status, 200, 'used again');
is(probes('marked'), $count, 'healthy again, the other one is left alone');

spit("$server{once}{dir}/bad", '');
becomes('once', 'once', 'UNHEALTHY', 'down');
unlink("$server{once}{dir}/bad");
ok(wait_until(10, sub {
    $count = probes('once');
    nap(0.7);
    probes('once') == $count;
}), 'what is down is not probed at an interval of 0');
is($node->admin('/upstreams/once/health?balancer_health=1')->json
        ->{data}{health}, 'UNHEALTHY', 'the balancer, too');
is(put('once', 'once', 'healthy'), 204, 'told to be up');
ok(probed('once', 2), 'it is probed again');
is(put('pool', 'b', 'unhealthy'), 204, 'another is told to be down');
becomes('pool', 'b', 'HEALTHY', 'and found to be up');

# settings and targets change, upstreams go
%upstreams = map { $_ => $upstreams{$_} } qw(pool plain tcp);
$upstreams{pool}{healthchecks}{active}{http_path} = '/elsewhere';
$upstreams{pool}{targets} = [ at(qw(a b)) ];
is($node->post_config(balancer_config(%upstreams))->status, 201, 'changed');
nap(0.5);
my ($gone, $left) = (probes('c'), probes('once'));
ok(wait_until(20, sub { seen('b') =~ m{^GET /elsewhere HTTP/1\.0}m }),
   'other settings');
nap(0.7);
is(probes('c'), $gone, 'a target that is gone is not probed');
is(probes('once'), $left, 'nor an upstream');
is(state_of('pool', 'b'), 'HEALTHY', 'the others are as they were');

# the daemon is killed: states stay; another one goes on
die_now('a');
becomes('pool', 'a', 'UNHEALTHY', 'dead once more');

my $daemon = $node->controld;
kill('KILL', $daemon);
ok(wait_until(5, sub { !alive($daemon) }), 'the daemon is killed');
server('a');
nap(1);
is(state_of('pool', 'a'), 'UNHEALTHY', 'states stay as they are');
is($node->get('/pool')->status, 200, 'served');
$count = probes('b');
nap(0.7);
is(probes('b'), $count, 'nobody probes');

spawn({ %{ $node->{env} }, STDOUT => "$node->{dir}/controld.out" },
      build() . '/kong', 'controld', '-p', $node->{prefix});
becomes('pool', 'a', 'HEALTHY', 'another daemon goes on');

# one that was stopped blames nobody
my $from = length($node->error_log);
kill('STOP', $node->controld);
nap(1.5);
kill('CONT', $node->controld);
ok(probed('b', 5), 'a daemon that was stopped goes on');
unlike(substr($node->error_log, $from), qr/is unhealthy now/,
       'and has found nobody slow');

finish();
