package KongEcho;

# An upstream that answers with a JSON description of the request it got:
# {"method", "uri", "headers": [[name, value]...], "body"}.  A process a
# connection.  Request headers tell it what to do:
#
#   X-Echo-Status: N          the status of the answer
#   X-Echo-Headers: a: b|c: d more headers
#   X-Echo-Delay: ms          before the answer
#   X-Echo-Chunked: 1         the body in chunks
#   X-Echo-Size: N            a body of N bytes instead of the JSON
#   X-Echo-Close: early|half|after   closes before, amid, after the answer
#   X-Echo-Connection: 1      adds "connection": number of the connection,
#                             "request": number of the request on it
#   Upgrade: websocket        101, then every byte comes back

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET ();
use JSON::PP ();
use KongTest;
use POSIX ();

our @EXPORT = qw(echo_start echo_config echo_yaml);

my $DELAY;      # ms before every answer of this process


# the port it listens on; `delay` ms pass before each answer
sub echo_start
{
    my (%o) = @_;
    my $port = $o{port} || free_port();
    my $listener = IO::Socket::INET->new(Listen => 256, Proto => 'tcp',
                       LocalAddr => '127.0.0.1', LocalPort => $port,
                       ReuseAddr => 1) or die "echo: $port: $!";

    my $pid = spawn(sub { $DELAY = $o{delay}; serve_all($listener) });

    close($listener);
    $KongEcho::PID{$port} = $pid;

    return $port;
}

sub echo_stop
{
    my ($port) = @_;

    kill_pid(delete $KongEcho::PID{$port}) if $KongEcho::PID{$port};
}

# a configuration of one route, /x, that leads to the path /NAME of an echo
sub echo_config
{
    my ($port, $name) = @_;

    return {
        _format_version => '3.0',
        services => [ {
            name => 's', url => "http://127.0.0.1:$port/$name",
            routes => [ { name => 'r', paths => ['/x'] } ]
        } ]
    };
}

# the same as a file
sub echo_yaml
{
    my ($port, $name) = @_;

    return <<"END";
_format_version: "3.0"
services:
- name: s
  url: http://127.0.0.1:$port/$name
  routes:
  - name: r
    paths: [/x]
END
}

sub serve_all
{
    my ($listener) = @_;
    my $n = 0;

    $SIG{CHLD} = 'IGNORE';

    while (1) {
        my $conn = $listener->accept or next;

        $n++;
        my $pid = fork();

        if (defined $pid && $pid == 0) {
            close($listener);
            eval { serve($conn, $n) };
            POSIX::_exit(0);
        }

        close($conn);
    }
}

sub serve
{
    my ($conn, $number) = @_;
    my $count = 0;

    binmode($conn);
    $conn->autoflush(1);

    while (defined(my $line = <$conn>)) {
        my ($method, $uri) = $line =~ /^(\S+) (.*) HTTP\/1\.[01]\r?\n$/
            or return;
        my (@headers, %h);

        while (defined(my $row = <$conn>)) {
            $row =~ s/\r?\n$//;
            last if $row eq '';

            my ($name, $value) = $row =~ /^([^:]*):[ \t]*(.*?)[ \t]*$/
                or return;
            push @headers, [ lc $name, $value ];
            $h{lc $name} = $value;
        }

        if (lc($h{upgrade} || '') eq 'websocket') {
            return upgrade($conn, \@headers, $uri);
        }

        my $body = body($conn, \%h);
        return if !defined $body;

        $count++;
        my $seen = {
            method => $method, uri => $uri, headers => \@headers,
            body => $body
        };

        if ($h{'x-echo-connection'}) {
            $seen->{connection} = $number + 0;
            $seen->{request} = $count;
        }

        reply($conn, $seen, \%h) or return;
    }
}

sub body
{
    my ($conn, $h) = @_;
    my $body = '';

    if (lc($h->{'transfer-encoding'} || '') eq 'chunked') {
        while (defined(my $line = <$conn>)) {
            my $n = hex(($line =~ /^([0-9a-fA-F]+)/)[0] || 0);
            my $chunk = '';

            return if $n && read($conn, $chunk, $n) != $n;
            $body .= $chunk;
            <$conn>;
            return $body if $n == 0;
        }
        return;
    }

    my $n = $h->{'content-length'} || 0;

    return if $n && (read($conn, $body, $n) || 0) != $n;

    return $body;
}

sub reply
{
    my ($conn, $seen, $h) = @_;
    my $close = $h->{'x-echo-close'} || '';
    my $out = JSON::PP->new->latin1->canonical->encode($seen);
    my $status = $h->{'x-echo-status'} || 200;
    my $extra = join('', map { "$_\r\n" }
                     grep { length } split(/\|/, $h->{'x-echo-headers'} || ''));

    nap($h->{'x-echo-delay'} / 1000) if $h->{'x-echo-delay'};
    nap($DELAY / 1000) if $DELAY;

    return 0 if $close eq 'early';

    $out = 'x' x $h->{'x-echo-size'} if defined $h->{'x-echo-size'};
    $extra .= "Connection: close\r\n" if $close eq 'after';

    my $head = "HTTP/1.1 $status Echo\r\nServer: echo\r\nX-Echo: 1\r\n"
               . "Content-Type: application/json\r\n$extra";

    if ($h->{'x-echo-chunked'}) {
        $head .= "Transfer-Encoding: chunked\r\n\r\n";
        $out = join('', map { sprintf("%x\r\n%s\r\n", length $_, $_) }
                    unpack('(a1000)*', $out)) . "0\r\n\r\n";

    } else {
        $head .= 'Content-Length: ' . length($out) . "\r\n\r\n";
    }

    $out = '' if $seen->{method} eq 'HEAD' || $status =~ /^(204|304)$/;
    $out = substr($out, 0, length($out) / 2) if $close eq 'half';

    print $conn $head . $out or return 0;

    return $close eq '' ? 1 : 0;
}

sub upgrade
{
    my ($conn, $headers, $uri) = @_;
    my $names = join(',', map { "$_->[0]=$_->[1]" } @$headers);

    print $conn "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                . "Connection: Upgrade\r\nX-Echo-Uri: $uri\r\n"
                . "X-Echo-Seen: $names\r\n\r\n";

    while (sysread($conn, my $bytes, 65536)) {
        syswrite($conn, $bytes);
    }
}

1;
