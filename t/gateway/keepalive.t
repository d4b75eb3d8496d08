# Settings of the connections kept to upstreams that have a meaning of their
# own: an idle timeout of 0 is none.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongTest;
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

finish();
