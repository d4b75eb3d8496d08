# A segment that the daemon believes good and nginx refuses: one that was made
# of a change is made again of everything, once, under the number that it was
# to have; one that was not is reported.  Between the daemon and nginx stands
# a server that spoils files on their way.

use strict;
use warnings;

use IO::Socket::UNIX ();
use KongHttp;
use KongNode;
use KongTest;
use Socket ();
use Test::More;

my $dir = temp_dir();
my $todo = "$dir/spoil";         # how many publishes are spoilt
my $seen = "$dir/seen";          # what was asked

spit($todo, 0);
spit($seen, '');

sub document
{
    my (@names) = @_;

    return {
        _format_version => '3.0',
        routes => [ map { {
            name => $_, paths => ["/$_"],
            plugins => [ { name => 'request-termination',
                           config => { status_code => 200,
                                       message => $_ } } ]
        } } @names ]
    };
}

my $node = node_start(config => document('a'), workers => 1);
my $socket = "$node->{prefix}/sockets/control.sock";

# the middle of a file, which its checksum covers
sub spoil
{
    my ($path) = @_;

    open(my $fh, '+<', $path) or die "$path: $!";
    seek($fh, int((-s $path) / 2), 0);
    read($fh, my $byte, 1);
    seek($fh, -1, 1);
    print $fh chr(ord($byte) ^ 0x55);
    close($fh);
}

sub between
{
    my ($client) = @_;
    my ($text, $answer) = ('', '');

    while ($text !~ /\r\n\r\n/) {
        sysread($client, $text, 65536, length($text)) or return;
    }

    if ($text =~ m{^POST /publish\?config=(\d+)}) {
        my $left = slurp($todo);

        open(my $fh, '>>', $seen) or die;
        print $fh "$1 ";
        close($fh);

        if ($left > 0) {
            spit($todo, $left - 1);
            spoil("$node->{prefix}/snapshots/$1.config");
        }
    }

    my $nginx = IO::Socket::UNIX->new(Peer => "$socket.nginx") or return;

    $text =~ s/\r\n\r\n/\r\nConnection: close\r\n\r\n/;
    syswrite($nginx, $text);
    while (sysread($nginx, $answer, 65536, length($answer))) { }
    syswrite($client, $answer);
}

rename($socket, "$socket.nginx") or die "$socket: $!";

my $listen = IO::Socket::UNIX->new(Local => $socket, Listen => 64,
                                   Type => Socket::SOCK_STREAM())
    or die "$socket: $!";

my $pid = spawn(sub {
    while (my $client = $listen->accept) {
        between($client);
        close($client);
    }
});

close($listen);

# connections that are open lead past it, until their worker is gone
my @old = $node->worker_pids;
kill('HUP', $node->master);
wait_until(10, sub {
    my @now = $node->worker_pids;
    @now == 1 && $now[0] != $old[0] && !alive($old[0]);
});

sub served
{
    my (@names) = @_;

    return wait_until(15, sub {
        !grep { $node->get("/$_")->status != 200 } @names;
    });
}

sub said
{
    my ($what) = @_;

    return scalar(() = $node->error_log =~ /$what/g);
}

sub publishes { return split(' ', slurp($seen)) }


# 1: what is good passes

$node->write_config(document('a', 'b'));
ok(served('a', 'b'), 'a small change is served');
is(said('all is compiled'), 0, 'it was not made twice');

# 2: a change that nginx refuses

spit($seen, '');
spit($todo, 1);
$node->write_config(document('a', 'b', 'c'));
ok(served('a', 'b', 'c'), 'a change that was refused is served all the same');
is(said('was made of a change: all is compiled'), 1, 'the log says how');

my @asked = publishes();
is(scalar(@asked), 2, 'it was told twice');
is($asked[0], $asked[1], 'under one number');
ok(wait_until(10, sub { $node->status->{source}{ok} }), 'the source is good');

# 3: the next change is a small one again

$node->write_config(document('a', 'b', 'c', 'd'));
ok(served('a' .. 'd'), 'changes go on');
is(said('all is compiled'), 1, 'as small ones');

# 4: what is made of everything, and refused too, is left

spit($seen, '');
spit($todo, 2);
$node->write_config(document('a' .. 'e'));
ok(wait_until(15, sub { !$node->status->{source}{ok} }),
   'refused twice: reported');
ok(served('a' .. 'd'), 'what was served is');
is($node->get('/e')->status, 404, 'nothing else is');
is(scalar(publishes()), 2, 'it is not told for ever');

$node->write_config(document('a' .. 'f'));
ok(served('a' .. 'f'), 'the next change is served');
ok(wait_until(10, sub { $node->status->{source}{ok} }), 'the source is good');

kill_pid($pid);
unlink($socket);
rename("$socket.nginx", $socket) or die "$socket: $!";

finish();
