package KongLog;

# Those who receive log records: a file, or a server on 127.0.0.1 that writes
# down what it gets.  A server is a process of its own that can be stopped,
# paused and started again on the same port.

use strict;
use warnings;

use Exporter 'import';
use IO::Select ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use JSON::PP ();
use KongTest;
use POSIX ();
use Socket;

our @EXPORT = qw(log_config log_dir log_wait log_text sink_new);

my $DIRS = 0;


# a service with a route for each name, at the path of that name, which has
# these plugins
sub log_config
{
    my ($upstream, %plugins) = @_;

    return {
        _format_version => '3.0',
        services => [ {
            name => 'echo', url => "http://127.0.0.1:$upstream/",
            routes => [ map { { name => $_, paths => [ "/$_" ],
                                plugins => $plugins{$_} } }
                        sort keys %plugins ]
        } ]
    };
}

# a folder that workers of another user may write to
sub log_dir
{
    my $dir = temp_dir('logs' . ++$DIRS);

    chmod(0777, $dir);

    return $dir;
}

sub log_text
{
    my $text = slurp($_[0]);

    return defined $text ? $text : '';
}

# the records in a file of JSON lines, once there are n of them
sub log_wait
{
    my ($file, $n, $seconds) = @_;

    wait_until($seconds || 10, sub { (() = log_text($file) =~ /\n/g) >= $n });

    return map { json_decode($_) } split(/\n/, log_text($file));
}

# sink_new(kind, ...): what it gets is in $sink->{file}
#   tcp    lines, as they come
#   udp    a line a datagram
#   unix   the same, on a socket with the path $sink->{path}
#   http   a line a request: JSON of method, uri, headers, body, connection.
#          $sink->status(503) is what it answers from now on, 200 else; 0: it
#          closes the connection; `chunked` sends the answers in chunks
sub sink_new
{
    my ($kind, %o) = @_;
    my $dir = log_dir();
    my $self = bless {
        %o, kind => $kind, file => "$dir/got", control => "$dir/status"
    }, __PACKAGE__;

    if ($kind eq 'unix') {
        $self->{path} ||= "$dir/sock";

    } else {
        $self->{port} ||= free_port();
    }

    $self->start if !$o{later};

    return $self;
}

sub start
{
    my ($self) = @_;
    my $kind = $self->{kind};

    unlink($self->{path}) if $kind eq 'unix';

    my $socket = $kind eq 'unix'
        ? IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $self->{path})
        : IO::Socket::INET->new(
              Proto => $kind eq 'udp' ? 'udp' : 'tcp',
              LocalAddr => '127.0.0.1', LocalPort => $self->{port},
              $kind eq 'udp' ? () : (Listen => 64, ReuseAddr => 1));

    die "sink $kind: $!" if !$socket;

    chmod(0777, $self->{path}) if $kind eq 'unix';

    $self->{pid} = spawn(sub {
        $SIG{PIPE} = 'IGNORE';
        open(my $out, '>>', $self->{file}) or die $!;
        $out->autoflush(1);

        return $self->datagrams($socket, $out) if $kind =~ /^u/;
        return $self->streams($socket, $out);
    });

    close($socket);
}

sub stop
{
    my ($self) = @_;

    kill('CONT', $self->{pid});
    kill_pid($self->{pid});
}

sub pause { kill('STOP', $_[0]{pid}) }

sub resume { kill('CONT', $_[0]{pid}) }

sub status { spit($_[0]{control}, $_[1]) }

sub text { return log_text($_[0]{file}) }

sub count { return scalar(() = $_[0]->text =~ /\n/g) }

# its lines, once there are n; decoded
sub wait
{
    my ($self, $n, $seconds) = @_;

    return log_wait($self->{file}, $n, $seconds);
}

sub datagrams
{
    my ($self, $socket, $out) = @_;

    while (defined recv($socket, my $data, 65536, 0)) {
        print $out "$data\n";
    }
}

sub streams
{
    my ($self, $listener, $out) = @_;
    my $select = IO::Select->new($listener);
    my (%in, $n, %number);

    while (1) {
        for my $s ($select->can_read) {

            if ($s == $listener) {
                my $c = $listener->accept or next;

                $select->add($c);
                $in{$c} = '';
                $number{$c} = ++$n;
                next;
            }

            my $got = sysread($s, $in{$s}, 65536, length $in{$s});

            if (!$got) {
                $select->remove($s);
                close($s);
                next;
            }

            if ($self->{kind} eq 'tcp') {
                print $out $in{$s};
                $in{$s} = '';
                next;
            }

            $self->request($select, $s, \$in{$s}, $number{$s}, $out)
                while $in{$s} =~ /\r\n\r\n/;
        }
    }
}

# one whole request, if it is there
sub request
{
    my ($self, $select, $s, $in, $connection, $out) = @_;
    my ($head, $rest) = split(/\r\n\r\n/, $$in, 2);
    my ($line, @lines) = split(/\r\n/, $head);
    my ($method, $uri) = split(/ /, $line);
    my %headers = map { /^([^:]*): (.*)/ ? (lc $1 => $2) : () } @lines;
    my $length = $headers{'content-length'} || 0;

    while (length $rest < $length) {
        sysread($s, $rest, 65536, length $rest) or last;
    }

    $$in = substr($rest, $length);

    my $status = log_text($self->{control});

    $status = 200 if $status eq '';

    if ($status eq '0') {
        $select->remove($s);
        close($s);
        $$in = '';
        return;
    }

    print $out json_encode({
        method => $method, uri => $uri, headers => \%headers,
        body => substr($rest, 0, $length), connection => $connection,
        status => $status
    }), "\n";

    syswrite($s, "HTTP/1.1 $status X\r\n"
             . ($self->{chunked}
                ? "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
                : "Content-Length: 2\r\n\r\nok"));
}

1;
