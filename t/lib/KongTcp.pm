package KongTcp;

# The network between two programs: a TCP proxy on 127.0.0.1 that can refuse,
# keep silent, cut what is there, or cut in the middle of an answer.

use strict;
use warnings;

use Exporter 'import';
use IO::Select ();
use IO::Socket::INET ();
use KongTest;
use POSIX ();
use Socket;

our @EXPORT = qw(tcp_start);

my $CHUNK = 65536;


# tcp_start(to => port)
sub tcp_start
{
    my (%o) = @_;
    my $self = bless { port => free_port(), to => $o{to} }, __PACKAGE__;

    socketpair($self->{control}, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
        or die "socketpair: $!";

    $self->{pid} = spawn(sub {
        close($self->{control});
        $self->{control} = $theirs;
        $self->serve;
    });

    close($theirs);
    $self->{control}->autoflush(1);
    $self->say('pass');

    return $self;
}

# how it behaves from now on; returns when it does
#   pass      as a cable
#   refuse    nobody listens; what is connected stays
#   hang      nothing passes any more, on old connections and new ones
#   freeze    old connections are dead and nobody says so, new ones pass
#   cut       resets what is connected, once
#   trip N    resets a connection once N bytes have come from the server
#   gather T  keeps what comes from the server until the text T is in it, then
#             passes all of it at once, and goes on as a cable
sub say
{
    my ($self, $what) = @_;
    my $answer = '';

    syswrite($self->{control}, "$what\n") or die "tcp proxy: $!";

    IO::Select->new($self->{control})->can_read(10)
        && sysread($self->{control}, $answer, 8);

    die "tcp proxy: '$what': no answer" if $answer ne "ok\n";
}

sub serve
{
    my ($self) = @_;

    $SIG{PIPE} = 'IGNORE';
    $self->{links} = [];
    $self->listen;

    while (1) {
        my $live = $self->{hang} ? []
                   : [ grep { !$_->{frozen} } @{ $self->{links} } ];
        my $s = IO::Select->new($self->{control}, $self->{listener} || (),
                                map { @$_{qw(client server)} } @$live);

        for my $fh ($s->can_read) {
            if ($fh == $self->{control}) {
                $self->order;

            } elsif ($self->{listener} && $fh == $self->{listener}) {
                $self->accept;

            } else {
                $self->pass($fh);
            }
        }
    }
}

sub listen
{
    my ($self) = @_;

    return if $self->{listener};

    $self->{listener} = IO::Socket::INET->new(Listen => 128, Proto => 'tcp',
        LocalAddr => '127.0.0.1', LocalPort => $self->{port},
        ReuseAddr => 1) or die "tcp proxy: $self->{port}: $!";
}

sub order
{
    my ($self) = @_;

    POSIX::_exit(0) if !sysread($self->{control}, my $what, 64);

    my ($name, $n) = $what =~ /^(\w+) ?(\w*)/;

    if ($name eq 'cut') {
        $self->reset($_) for @{ $self->{links} };
        $self->{links} = [];

    } else {
        $self->{hang} = $name eq 'hang';
        $self->{trip} = $name eq 'trip' ? $n : undef;
        $self->{gather} = $name eq 'gather' ? $n : undef;
        $_->{frozen} = 1 for $name eq 'freeze' ? @{ $self->{links} } : ();

        if ($name eq 'refuse') {
            close($self->{listener}) if $self->{listener};
            delete $self->{listener};

        } else {
            $self->listen;
        }
    }

    syswrite($self->{control}, "ok\n");
}

sub accept
{
    my ($self) = @_;
    my $client = $self->{listener}->accept or return;
    my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                     PeerPort => $self->{to}, Proto => 'tcp');

    if (!$server) {
        $self->reset({ client => $client });
        return;
    }

    push @{ $self->{links} },
        { client => $client, server => $server, bytes => 0 };
}

sub pass
{
    my ($self, $fh) = @_;
    my ($link) = grep { $_->{client} == $fh || $_->{server} == $fh }
                 @{ $self->{links} } or return;
    my $down = $fh == $link->{server};
    my $to = $down ? $link->{client} : $link->{server};
    my $n = sysread($fh, my $bytes, $CHUNK);

    if (!$n) {
        return $self->drop($link);
    }

    $link->{bytes} += $n if $down;

    if (defined $self->{gather} && $down) {
        $link->{kept} .= $bytes;
        return if index($link->{kept}, $self->{gather}) == -1;

        $bytes = delete $link->{kept};
        $self->{gather} = undef;
    }

    if (defined $self->{trip} && $link->{bytes} > $self->{trip}) {
        my $keep = $n - ($link->{bytes} - $self->{trip});

        syswrite($to, $bytes, $keep) if $keep > 0;
        return $self->drop($link, 1);
    }

    while (length $bytes) {
        my $done = syswrite($to, $bytes);

        return $self->drop($link) if !$done;
        substr($bytes, 0, $done, '');
    }
}

sub drop
{
    my ($self, $link, $hard) = @_;

    @{ $self->{links} } = grep { $_ != $link } @{ $self->{links} };

    return $self->reset($link) if $hard;

    close($link->{client});
    close($link->{server});
}

sub reset
{
    my ($self, $link) = @_;

    for my $s (grep { defined } @$link{qw(client server)}) {
        setsockopt($s, SOL_SOCKET, SO_LINGER, pack('II', 1, 0));
        close($s);
    }
}

1;
