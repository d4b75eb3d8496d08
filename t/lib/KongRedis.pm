package KongRedis;

# Redis servers for the tests: a private redis-server in a folder of its own,
# on a free port of 127.0.0.1; and servers that do not behave, one way each.
# They end with the test.

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET ();
use KongTest;

our @EXPORT = qw(redis_skip redis_new redis_bad);

my $COUNT = 0;


# ends the test where there is no server to start
sub redis_skip
{
    my ($path) = grep { -x } map { "$_/redis-server" }
                 split(/:/, $ENV{PATH} || ''), '/usr/bin', '/usr/local/bin';

    plan_skip('no redis-server here') if !defined $path;
}

# redis_new(password => text, users => [ ACL lines ], cert => path,
# key => path), running
sub redis_new
{
    my (%o) = @_;
    my $dir = temp_dir('redis' . ++$COUNT);
    my $self = bless {
        dir => $dir, log => "$dir/log", port => free_port(),
        tls => defined $o{cert} ? free_port() : 0, password => $o{password},
    }, __PACKAGE__;

    spit("$dir/redis.conf", join('', map { "$_\n" }
        'bind 127.0.0.1', "port $self->{port}", "dir $dir", 'save ""',
        "unixsocket $dir/sock", 'appendonly no', 'daemonize no',
        'databases 4',
        (defined $o{password} ? "requirepass \"$o{password}\"" : ()),
        (map { "user $_" } @{ $o{users} || [] }),
        (defined $o{cert}
         ? ("tls-port $self->{tls}", "tls-cert-file $o{cert}",
            "tls-key-file $o{key}", 'tls-auth-clients no',
            "tls-ca-cert-file $o{cert}") : ())));

    $self->start;

    return $self;
}

sub start
{
    my ($self) = @_;

    $self->{pid} = spawn({ STDOUT => $self->{log} }, 'redis-server',
                         "$self->{dir}/redis.conf");

    wait_until(20, sub {
        eval { ($self->command('PING') || '') eq 'PONG' }
    }) or die 'redis: ' . (slurp($self->{log}) || '');
}

sub stop
{
    my ($self, $signal) = @_;

    kill_pid(delete $self->{pid}, $signal) if $self->{pid};
}

sub pause { kill('STOP', $_[0]{pid}) }

sub resume { kill('CONT', $_[0]{pid}) }

# the answer to one command: text, undef for nil, an array for an array; dies
# with an error's text
sub command
{
    my ($self, @args) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                  PeerPort => $self->{port}, Timeout => 5)
        or die "redis: $!";

    if (defined $self->{password}) {
        syswrite($s, command_text('AUTH', $self->{password}));
        answer($s);
    }

    if (ref $args[0]) {
        syswrite($s, command_text('SELECT', ${ shift @args }));
        answer($s);
    }

    syswrite($s, command_text(@args));

    return answer($s);
}

sub command_text
{
    return join('', '*' . @_ . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" }
                @_);
}

sub answer
{
    my ($s) = @_;
    my $line = readline($s);

    die "redis: closed\n" if !defined $line;
    $line =~ s/\r\n$//;

    my ($kind, $text) = $line =~ /^(.)(.*)$/;

    die "redis: $text\n" if $kind eq '-';
    return [ map { answer($s) } 1 .. $text ] if $kind eq '*';
    return $text if $kind ne '$';
    return undef if $text < 0;

    read($s, my $value, $text + 2);

    return substr($value, 0, $text);
}

# keys with their values: redis->all, or of another database: redis->all(1)
sub all
{
    my ($self, $db) = @_;
    my @db = defined $db ? (\$db) : ();

    return map { $_ => $self->command(@db, 'GET', $_) }
           @{ $self->command(@db, 'KEYS', '*') };
}

# how often a command was called
sub calls
{
    my ($self, $name) = @_;

    return $self->command('INFO', 'commandstats')
           =~ /^cmdstat_$name:calls=(\d+)/m ? $1 : 0;
}


# redis_bad(sub { my ($socket, $command) = @_; ... }): the port of a server
# that calls the sub for each command (its first word); it closes when that
# returns 0
sub redis_bad
{
    my ($code) = @_;
    my $port = free_port();
    my $listener = IO::Socket::INET->new(Listen => 64, Proto => 'tcp',
                       LocalAddr => '127.0.0.1', LocalPort => $port,
                       ReuseAddr => 1) or die "redis: $port: $!";

    spawn(sub {
        $SIG{CHLD} = 'IGNORE';

        while (my $s = $listener->accept) {
            if (fork() == 0) {
                close($listener);
                $s->autoflush(1);

                while (defined(my $line = readline($s))) {
                    my @args = map {
                        my ($n) = readline($s) =~ /(\d+)/;
                        read($s, my $arg, $n + 2);
                        substr($arg, 0, $n);
                    } 1 .. ($line =~ /^\*(\d+)/)[0];

                    last if !$code->($s, @args);
                }

                POSIX::_exit(0);
            }
            close($s);
        }
    });

    close($listener);

    return $port;
}

1;
