package KongHttp;

# An HTTP/1.1 client over raw sockets: what is sent is exactly what the test
# says.  Connections may be kept; TLS goes through curl.

use strict;
use warnings;

use Exporter 'import';
use IO::Select ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use KongTest;

our @EXPORT = qw(http https);


# http(port, path, options): one request on a connection of its own
sub http
{
    my ($port, $path, %o) = @_;
    my $c = KongHttp->connect($port, %o) or return KongHttp::Answer->failed;

    return $c->request($path, close => 1, %o);
}

# `port` is a number on 127.0.0.1 or the path of a unix socket
sub connect
{
    my ($class, $port, %o) = @_;
    my $timeout = $o{timeout} || 20;

    my $socket = $port =~ m{^/}
        ? IO::Socket::UNIX->new(Peer => $port)
        : IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port,
                                Proto => 'tcp', Timeout => $timeout);

    return if !$socket;

    $socket->autoflush(1);

    return bless {
        socket => $socket, port => $port, in => '', timeout => $timeout
    }, $class;
}

# request(path, method =>, host =>, headers => [[name, value]...] or a hash,
# body =>, close => 1).  host => undef sends no Host header
sub request
{
    my ($self, $path, %o) = @_;
    my $method = $o{method} || 'GET';
    my @lines = "$method $path HTTP/" . ($o{version} || '1.1');
    my @headers = ref $o{headers} eq 'HASH'
        ? map { [ $_, $o{headers}{$_} ] } sort keys %{ $o{headers} }
        : @{ $o{headers} || [] };

    my $host = exists $o{host} ? $o{host} : "127.0.0.1:$self->{port}";
    $host = 'localhost' if defined $host && $host =~ m{^127\.0\.0\.1:/};

    push @lines, "Host: $host" if defined $host;
    push @lines, map { "$_->[0]: $_->[1]" } @headers;

    if (defined $o{body}
        && !grep { /^(content-length|transfer-encoding):/i } @lines)
    {
        push @lines, 'Content-Length: ' . length($o{body});
    }

    push @lines, 'Connection: close'
        if $o{close} && !grep { /^connection:/i } @lines;

    $self->send(join("\r\n", @lines, '', '')
                . (defined $o{body} ? $o{body} : ''))
        or return KongHttp::Answer->failed;

    return $self->answer($method);
}

sub send
{
    my ($self, $bytes) = @_;

    while (length $bytes) {
        my $n = syswrite($self->{socket}, $bytes);
        return 0 if !defined $n;
        substr($bytes, 0, $n, '');
    }

    return 1;
}

# reads the next answer
sub answer
{
    my ($self, $method) = @_;
    my ($head, $status);

    while (1) {
        $head = $self->read_to("\r\n\r\n");
        return KongHttp::Answer->failed($self->{in}) if !defined $head;

        ($status) = $head =~ m{^HTTP/1\.[01] (\d{3})};
        return KongHttp::Answer->failed($head) if !defined $status;

        last if $status >= 200 || $status == 101;
    }

    my ($line, @rows) = split(/\r\n/, $head);
    my @headers = map { [ /^([^:]*):[ \t]*(.*?)[ \t]*$/ ] } @rows;
    my $a = KongHttp::Answer->new($status, \@headers, '', $line);

    return $a if ($method || 'GET') eq 'HEAD' || $status =~ /^(101|204|304)$/;

    if (lc($a->header('transfer-encoding') || '') eq 'chunked') {
        $a->{body} = $self->read_chunks;

    } elsif (defined(my $n = $a->header('content-length'))) {
        $a->{body} = $self->read_bytes($n);

    } else {
        1 while $self->more;
        $a->{body} = $self->{in};
        $self->{in} = '';
    }

    if (!defined $a->{body}) {
        $a->{body} = $self->{in};
        $a->{truncated} = 1;
    }

    return $a;
}

# more bytes from the peer: 1, or 0 at its end or after the timeout
sub more
{
    my ($self) = @_;

    return 0 if !IO::Select->new($self->{socket})->can_read($self->{timeout});

    my $n = sysread($self->{socket}, $self->{in}, 65536, length $self->{in});

    return $n ? 1 : 0;
}

sub read_to
{
    my ($self, $mark) = @_;
    my $at;

    while (($at = index($self->{in}, $mark)) < 0) {
        return if !$self->more;
    }

    return substr($self->{in}, 0, $at + length $mark, '');
}

sub read_bytes
{
    my ($self, $n) = @_;

    while (length $self->{in} < $n) {
        return if !$self->more;
    }

    return substr($self->{in}, 0, $n, '');
}

sub read_chunks
{
    my ($self) = @_;
    my $body = '';

    while (1) {
        my $line = $self->read_to("\r\n");
        return if !defined $line || $line !~ /^([0-9a-fA-F]+)/;

        my $n = hex($1);

        if ($n == 0) {
            while (defined(my $row = $self->read_to("\r\n"))) {
                return $body if $row eq "\r\n";
            }
            return;
        }

        my $chunk = $self->read_bytes($n + 2);
        return if !defined $chunk;
        $body .= substr($chunk, 0, $n);
    }
}

# 1 when the peer has closed (waits up to `seconds`)
sub closed
{
    my ($self, $seconds) = @_;

    return 0 if !IO::Select->new($self->{socket})->can_read($seconds);

    my $n = sysread($self->{socket}, $self->{in}, 65536, length $self->{in});

    return defined $n && $n > 0 ? 0 : 1;
}

sub close { close($_[0]{socket}) }


# https(port, path, sni =>, host =>, method =>, headers =>, body =>, args =>)
sub https
{
    my ($port, $path, %o) = @_;
    my $name = defined $o{sni} ? $o{sni} : '127.0.0.1';
    my @cmd = ('curl', '-sk', '--http1.1', '-i', '--path-as-is', '-m',
               $o{timeout} || 20, '--connect-to', "::127.0.0.1:$port");

    push @cmd, '-X', $o{method} if defined $o{method};
    push @cmd, '--head' if ($o{method} || '') eq 'HEAD';
    push @cmd, '-H', "Host: $o{host}" if defined $o{host};

    my @headers = ref $o{headers} eq 'HASH'
        ? map { [ $_, $o{headers}{$_} ] } sort keys %{ $o{headers} }
        : @{ $o{headers} || [] };

    push @cmd, '-H', "$_->[0]: $_->[1]" for @headers;
    push @cmd, '--data-binary', $o{body} if defined $o{body};
    push @cmd, @{ $o{args} || [] }, "https://$name:$port$path";

    my ($rc, $out, $err) = run(@cmd);
    return KongHttp::Answer->failed("curl: $rc $err") if $rc != 0;

    my ($head, $body) = split(/\r\n\r\n/, $out, 2);
    my ($line, @rows) = split(/\r\n/, $head);
    my ($status) = $line =~ m{^HTTP/\S+ (\d{3})};

    return KongHttp::Answer->new($status,
        [ map { [ /^([^:]*):[ \t]*(.*?)[ \t]*$/ ] } @rows ], $body, $line);
}


package KongHttp::Answer;

use strict;
use warnings;

use KongTest ();

sub new
{
    my ($class, $status, $headers, $body, $line) = @_;

    return bless {
        status => $status, headers => $headers, body => $body,
        line => $line, truncated => 0
    }, $class;
}

# no answer at all: status 0
sub failed
{
    my ($class, $text) = @_;

    return $class->new(0, [], defined $text ? $text : '', '');
}

sub status { return $_[0]{status} }

sub body { return $_[0]{body} }

sub headers { return $_[0]{headers} }

# all values of a header joined as one, or undef
sub header
{
    my ($self, $name) = @_;
    my @values = map { $_->[1] } grep { lc $_->[0] eq lc $name }
                 @{ $self->{headers} };

    return @values ? join(', ', @values) : undef;
}

# the body as JSON; undef when it is none
sub json
{
    my ($self) = @_;

    return eval { KongTest::json_decode($self->{body}) };
}

# when the echo upstream answered: what it received.  A header of its request
sub up
{
    my ($self, $name) = @_;
    my $j = $self->json;

    return if ref $j ne 'HASH' || ref $j->{headers} ne 'ARRAY';

    my @values = map { $_->[1] } grep { $_->[0] eq lc $name }
                 @{ $j->{headers} };

    return @values ? join(', ', @values) : undef;
}

sub up_uri
{
    my $j = $_[0]->json;

    return ref $j eq 'HASH' ? $j->{uri} : undef;
}

1;
