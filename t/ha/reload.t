# nginx -s reload fifty times under keepalive load: no request fails, the
# generation stays, /status keeps counting.

use strict;
use warnings;

use KongHttp;
use KongLoad;
use KongNode;
use KongTest;
use Test::More;

my $port = free_port();

nginx_start('up', <<"END");
server { listen 127.0.0.1:$port; location / { return 200 "up \$uri"; } }
END

my $node = node_start(workers => 2, config => {
    _format_version => '3.0',
    services => [ {
        name => 's', url => "http://127.0.0.1:$port",
        routes => [ { name => 'r', paths => ['/x'] } ]
    } ]
});

my $times = 50;
my $hash = $node->status->{configuration_hash};
my $seconds = sanitized() ? 60 : 24;
my $load = load_start("http://127.0.0.1:$node->{proxy}/x/y",
                      seconds => $seconds, connections => 16);
nap(0.5);

my $before = $node->status->{server}{total_requests};
my $reloads = 0;

while ($reloads < $times && now() < $load->{end} - 1) {
    my %old = map { $_ => 1 } $node->worker_pids;

    kill('HUP', $node->master);
    $reloads++;

    # the next one when new workers serve
    wait_until(5, sub { grep { !$old{$_} } $node->worker_pids });
    nap(0.1);
}

is($reloads, $times, 'reloads');
my $r = load_wait($load);

is($r->{failed}, 0, 'answers that are no success') or diag($r->{text});
is($r->{connect} + $r->{write} + $r->{timeout}, 0, 'errors');

# nginx closes idle connections at a reload; wrk counts one that it was
# about to use as a read error.  At most one a connection and reload
cmp_ok($r->{read}, '<=', 16 * $times, "connections closed: $r->{read}");
cmp_ok($r->{requests}, '>', 1000, "$r->{requests} requests");

ok(wait_until(15, sub { $node->worker_pids == 2 }), 'old workers are gone');
is($node->get('/x/y')->body, 'up /y', 'it serves');
is($node->status->{configuration_hash}, $hash, 'the same configuration');
cmp_ok($node->status->{server}{total_requests}, '>', $before,
       'counters are kept');

# every request that a client makes on its own connection is answered: the
# retry that any client does is not needed on new connections
my $failed = 0;

for (1 .. 10) {
    kill('HUP', $node->master);

    for (1 .. 30) {
        $failed++ if $node->get('/x/y')->status != 200;
    }
}

is($failed, 0, '300 requests on new connections amid ten reloads');

# kong reload does the same and re-reads the settings
my ($rc, $out) = $node->reload;
is($rc, 0, 'kong reload');
like($out, qr/^Kong reloaded$/m, 'says so');
ok(wait_until(10, sub { $node->get('/x/y')->status == 200 }), 'it serves');

ok(wait_until(20, sub { $node->worker_pids == 2 }), 'two workers in the end');

finish();
