# Settings of the connections kept to upstreams that have a meaning of their
# own: an idle timeout of 0 is none.  And which connections are not kept: the
# next request must not find another's bytes.

use strict;
use warnings;

use IO::Socket::INET;
use KongEcho;
use KongNode;
use KongTest;
use POSIX ();
use Test::More;

my $upstream = echo_start();

sub connections
{
    my (%env) = @_;
    my $node = node_start(workers => 1, env => \%env, config => {
        _format_version => '3.0',
        services => [ { name => 'echo', url => "http://127.0.0.1:$upstream",
                        routes => [ { paths => ['/a'] } ] } ]
    });

    my %seen;

    for (1 .. 4) {
        my $a = $node->get('/a', headers => { 'X-Echo-Connection' => 1 });
        $seen{ $a->json->{connection} || 0 } = 1;
        nap(0.1);
    }

    return scalar keys %seen;
}

is(connections(), 1, 'one connection for one request after the other');
is(connections(KONG_UPSTREAM_KEEPALIVE_IDLE_TIMEOUT => 0), 1,
   'a timeout of 0 closes none');
is(connections(KONG_UPSTREAM_KEEPALIVE_MAX_REQUESTS => 0), 1,
   'nor do 0 requests');
is(connections(KONG_UPSTREAM_KEEPALIVE_MAX_REQUESTS => 2), 2,
   'a number of requests does');
is(connections(KONG_UPSTREAM_KEEPALIVE_POOL_SIZE => 0), 4,
   'without a pool none is kept');

# --- an upstream that sends more than its answer to HEAD has, as some do

my $listen = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1',
                                   Proto => 'tcp') or die "listen: $!";
my $talker = $listen->sockport;

spawn(sub {
    my $n = 0;

    while (my $s = $listen->accept) {
        $n++;
        next if fork();

        my $in = '';

        while (sysread($s, $in, 4096, length $in)) {
            while ($in =~ s/^(\w+) (\S+).*?\r\n\r\n//s) {
                my ($method, $path) = ($1, $2);
                my $body = "connection $n";
                my $head = $path =~ /204/ ? "HTTP/1.1 204 No\r\n\r\n"
                    : "HTTP/1.1 200 OK\r\nContent-Length: "
                      . ($path =~ /empty/ ? 0 : length $body) . "\r\n\r\n";

                $body = 'HTTP/1.1 200 OK' if $path =~ /more/;
                syswrite($s, $head . ($path =~ /silent/ ? '' : $body));
            }
        }

        POSIX::_exit(0);
    }
});

close($listen);

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    services => [ { name => 'talker', url => "http://127.0.0.1:$talker",
        routes => [
            map { { paths => ["/$_"], strip_path => JSON::PP::false(),
                    response_buffering => $_ eq 'buffered'
                        ? JSON::PP::true() : JSON::PP::false() } }
                qw(buffered direct) ] } ]
});

for my $route (qw(buffered direct)) {
    my $which = $node->get("/$route/x")->body;

    is($node->get("/$route/silent", method => 'HEAD')->status, 200,
       "$route: HEAD");
    is($node->get("/$route/x")->body, $which, 'the connection is kept');

    for my $bad ([ HEAD => 'more' ], [ HEAD => 'x' ], [ GET => 'more/204' ],
                 [ GET => 'more/empty' ])
    {
        my ($method, $path) = @$bad;

        $which = $node->get("/$route/x")->body;
        $node->get("/$route/$path", method => $method);
        isnt($node->get("/$route/x")->body, $which,
             "$route: more than the answer to $method /$path: a new one");
    }
}

finish();
