# request_buffering and response_buffering: with off, bytes pass as they
# come; with on, the other side sees nothing before it is complete.

use strict;
use warnings;

use IO::Select ();
use IO::Socket::INET ();
use KongHttp;
use KongNode;
use KongTest;
use POSIX ();
use Test::More;

# an upstream that notes when it saw which bytes, and drips its answer
my $port = free_port();
my $log = temp_dir() . '/seen';
my $l = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1',
            LocalPort => $port, ReuseAddr => 1) or die;

spawn(sub {
    while (my $c = $l->accept) {
        my $in = '';

        while ($in !~ /END$/) {
            sysread($c, $in, 65536, length $in) or last;
            spit($log, $in =~ s/^.*?\r\n\r\n//sr);
        }

        syswrite($c, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n"
                     . "Connection: close\r\n\r\nfirst.");
        nap(1.2);
        syswrite($c, 'second');
        close($c);
    }
});
close($l);

my ($on, $off) = (JSON::PP::true(), JSON::PP::false());
my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    services => [ {
        name => 's', url => "http://127.0.0.1:$port",
        routes => [
            { name => 'on', paths => ['/on'], request_buffering => $on,
              response_buffering => $on },
            { name => 'off', paths => ['/off'], request_buffering => $off,
              response_buffering => $off },
        ]
    } ]
});

for my $path ('/on', '/off') {
    unlink($log);
    my $c = KongHttp->connect($node->{proxy});

    $c->send("POST $path HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf");
    nap(0.7);

    my $seen = slurp($log);
    if ($path eq '/off') {
        like($seen, qr/half$/, 'unbuffered: the upstream has the first half');

    } else {
        is($seen, undef, 'buffered: the upstream has nothing yet');
    }

    $c->send('.END');
    my $a = $c->read_to("first.");
    my $start = now();
    ok(defined $a, "$path: an answer");
    $c->read_to('second');

    # what was held back comes at once
    cmp_ok(now() - $start, '>', 0.6, 'unbuffered: the answer drips')
        if $path eq '/off';
}

finish();
