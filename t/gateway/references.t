# A request gives its generation back however it ends: a worker without old
# requests maps one configuration only.  A websocket keeps its own until it is
# closed.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $dead = free_port();
my $n = 0;

sub config
{
    my @body = (
        { name => 'request-transformer',
          config => { add => { body => ['a:b'] } } },
        { name => 'request-size-limiting',
          config => { allowed_payload_size => 1,
                      require_content_length => JSON::PP::false() } });

    $n++;

    return { _format_version => '3.0', services => [
        { name => 'echo', url => "http://127.0.0.1:$upstream", retries => 2,
          routes => [
              { paths => ['/a'] }, { paths => ["/n$n"] },
              { paths => ['/body'], plugins => \@body },
              { paths => ['/no'], plugins => [
                  { name => 'request-termination',
                    config => { status_code => 403 } } ] },
              { paths => ['/kept'], plugins => [
                  { name => 'proxy-cache',
                    config => { strategy => 'memory',
                                content_type => ['application/json'] } } ] },
          ] },
        { name => 'dead', url => "http://127.0.0.1:$dead",
          routes => [ { paths => ['/dead'] } ] } ] };
}

my $node = node_start(workers => 1, config => config());

sub mapped
{
    my ($worker) = $node->worker_pids;
    my %seen = map { $_ => 1 }
               slurp("/proc/$worker/maps") =~ m{snapshots/(\d+)\.config}g;

    return scalar keys %seen;
}

# sends and goes away
sub leave
{
    my ($text, $ms) = @_;
    my $c = KongHttp->connect($node->{proxy});

    $c->send($text);
    nap(($ms || 50) / 1000);
    $c->close;
}

my $end = "HTTP/1.1\r\nHost: a\r\n";
my $json = "${end}Content-Type: application/json\r\n";
my $chunked = "Transfer-Encoding: chunked\r\n\r\n";

my $ws = KongHttp->connect($node->{proxy});
$ws->send("GET /a ${end}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
is($ws->answer->status, 101, 'a websocket');

for my $round (1 .. 2) {
    leave("GET /a HT");
    leave("GET /a ${end}X: ");
    leave("GET /a ${end}X-Echo-Delay: 300\r\n\r\n", 100);
    leave("GET /a ${end}X-Echo-Size: 9000000\r\n\r\n");
    leave("GET /a ${end}X-Echo-Close: half\r\n\r\n", 200);
    leave("POST /a ${end}Content-Length: 50\r\n\r\nabc");
    leave("POST /no ${end}Content-Length: 50\r\n\r\nabc");
    leave("POST /body ${json}Content-Length: 50\r\n\r\n{");
    leave("POST /body ${json}${chunked}5\r\nabc");
    leave("POST /body ${json}${chunked}zz\r\nabc");
    leave("POST /body ${end}${chunked}200000\r\n" . ('x' x 2097152)
          . "\r\n0\r\n\r\n", 100);
    leave(join('', map { "GET /$_ $end\r\n" }
                   qw(none dead no kept kept body a)) . "BAD\r\n\r\n", 200);

    is($node->post_config(config())->status, 201, 'another configuration');
}

ok(wait_until(10, sub { mapped() == 2 }), 'the websocket keeps its own');
$ws->close;
ok(wait_until(10, sub { mapped() == 1 }), 'until it is closed');

finish();
