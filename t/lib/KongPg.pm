package KongPg;

# Private PostgreSQL servers for the tests: each in a folder of its own, on
# a free port of 127.0.0.1 and a unix socket, never as root, fast rather than
# durable.  They end with the test, and their folders go with it.

use strict;
use warnings;

use Exporter 'import';
use KongTest;

our @EXPORT = qw(pg_skip pg_found pg_new pg_at);

my @SERVERS;
my $HOOKED;

my $BIN = $ENV{KONG_TEST_PG_BIN}
    || (sort { ($b =~ m{(\d+)/bin})[0] <=> ($a =~ m{(\d+)/bin})[0] }
        glob('/usr/lib/postgresql/*/bin'))[0];


# ends the test where there is no server to start
sub pg_skip
{
    plan_skip('no PostgreSQL server here') if !pg_found();
}

sub pg_found { return defined $BIN && -x "$BIN/postgres" }

# pg_new(settings => { max_connections => 20 }, start => 0)
sub pg_new
{
    my (%o) = @_;
    my $n = @SERVERS;
    my $self = bless {
        n => $n, bin => $BIN, user => 'kong', database => 'kong',
        dir => temp_dir("pg$n"), port => free_port(),
        settings => $o{settings} || {},
    }, __PACKAGE__;

    $self->{data} = "$self->{dir}/data";
    push @SERVERS, $self;
    at_end(sub { $_->stop('QUIT') for @SERVERS; }) if !$HOOKED++;

    mkdir($self->{data});
    $self->own($self->{dir}, $self->{data});

    if (!$o{replica_of}) {
        $self->tool('initdb', '-D', $self->{data}, '-U', 'postgres', '-N',
                    '-E', 'UTF8', '--no-locale', '-A', 'trust');
    } else {
        my $from = $o{replica_of};

        rmdir($self->{data});
        $self->tool('pg_basebackup', '-D', $self->{data}, '-R', '-N',
                    '-c', 'fast', '-X', 'stream', '-h', '127.0.0.1',
                    '-p', $from->{port}, '-U', 'postgres');
    }

    $self->configure;

    if (!exists $o{start} || $o{start}) {
        $self->start;

        if (!$o{replica_of}) {
            $self->admin('CREATE ROLE kong LOGIN PASSWORD \'kong\'');
            $self->admin('CREATE DATABASE kong OWNER kong');
        }
    }

    return $self;
}

# a server that somebody else starts and ends: pg_at(dir => of its socket,
# port =>)
sub pg_at
{
    my (%o) = @_;

    return bless { bin => $BIN, user => 'kong', database => 'kong', %o },
                 __PACKAGE__;
}

# a streaming replica of this server, started
sub replica
{
    my ($self, %o) = @_;

    return pg_new(%o, replica_of => $self);
}

sub configure
{
    my ($self) = @_;
    my %settings = (
        listen_addresses => '127.0.0.1', port => $self->{port},
        unix_socket_directories => $self->{dir}, fsync => 'off',
        full_page_writes => 'off', shared_buffers => '32MB',
        max_connections => 60, wal_level => 'logical', max_wal_senders => 8,
        hot_standby => 'on', dynamic_shared_memory_type => 'mmap',
        autovacuum_naptime => '5s', logging_collector => 'off',
        log_line_prefix => '%m [%p] %a ', %{ $self->{settings} },
    );
    my $text = join('', map { "$_ = '$settings{$_}'\n" } sort keys %settings);

    spit("$self->{data}/postgresql.auto.test.conf", $text);
    $self->own("$self->{data}/postgresql.auto.test.conf");

    my $main = slurp("$self->{data}/postgresql.conf");

    if ($main !~ /auto\.test/) {
        spit("$self->{data}/postgresql.conf",
             $main . "\ninclude = 'postgresql.auto.test.conf'\n");
        $self->own("$self->{data}/postgresql.conf");
    }
}


# --- its processes

# the server refuses to run as root
sub unprivileged
{
    return if $> != 0;

    for my $name (qw(postgres nobody)) {
        my (undef, undef, $uid, $gid) = getpwnam($name);
        return ($uid, $gid) if $uid;
    }

    die 'no unprivileged user';
}

sub own
{
    my ($self, @paths) = @_;
    my ($uid, $gid) = unprivileged();

    chown($uid, $gid, @paths) if defined $uid;
}

sub drop
{
    my ($uid, $gid) = unprivileged();

    return if !defined $uid;

    ($(, $)) = ($gid, "$gid $gid");
    POSIX::setgid($gid);
    POSIX::setuid($uid);
}

sub tool
{
    my ($self, $name, @args) = @_;
    my $log = "$self->{dir}/$name.log";

    my $pid = spawn({ STDOUT => $log }, sub {
        drop();
        chdir('/');
        exec("$BIN/$name", @args) or POSIX::_exit(127);
    });
    waitpid($pid, 0);
    my $status = $?;

    kill_pid($pid);
    die "$name: " . slurp($log) if $status != 0;
}

sub start
{
    my ($self) = @_;
    my $data = $self->{data};

    open(my $fh, '>>', "$self->{dir}/server.log");
    close($fh);

    $self->{pid} = spawn(sub {
        drop();
        chdir('/');
        open(STDOUT, '>>', "$self->{dir}/server.log");
        open(STDERR, '>&', \*STDOUT);
        exec("$BIN/postgres", '-D', $data) or POSIX::_exit(127);
    });

    $self->own("$self->{dir}/server.log");

    return if wait_until(30, sub { $self->ready });

    die 'PostgreSQL does not start: ' . (slurp("$self->{dir}/server.log")||'');
}

sub ready
{
    my ($self) = @_;
    my $tcp = !exists $self->{settings}{listen_addresses};
    my ($rc) = run("$BIN/pg_isready", '-q',
                   '-h', $tcp ? '127.0.0.1' : $self->{dir},
                   '-p', $self->{port});

    return $rc == 0;
}

# INT: fast, QUIT: immediate, KILL: as a machine that loses power
sub stop
{
    my ($self, $signal) = @_;
    my $pid = delete $self->{pid} or return;

    $self->{pid} = $pid;
    $self->resume;
    delete $self->{pid};

    my %children = descendants($pid);
    kill($signal || 'INT', $pid);
    wait_until(10, sub { waitpid($pid, POSIX::WNOHANG()) != 0 });
    kill_pid($pid, 'KILL');
    wait_until(10, sub {
        !grep { alive($_, $children{$_}) } keys %children
    });
}

sub restart
{
    my ($self, $signal) = @_;

    $self->stop($signal);
    $self->start;
}

# SIGSTOP of the server and all of its processes
sub pause
{
    my ($self) = @_;
    my %all = descendants($self->{pid});

    kill('STOP', $self->{pid}, keys %all);
}

sub resume
{
    my ($self) = @_;
    my %all = descendants($self->{pid});

    kill('CONT', $self->{pid}, keys %all);
}

sub promote
{
    my ($self) = @_;

    $self->admin('SELECT pg_promote(true, 30)');
}


# --- talking to it

# as psql says: (exit code, stdout, stderr); options: user, database, file,
# vars, url (pg_dump and the like)
sub psql
{
    my ($self, $sql, %o) = @_;

    return $self->client('psql', [ '-X', '-q', '-A', '-t',
        '-v', 'ON_ERROR_STOP=' . (exists $o{stop} ? $o{stop} : 1),
        defined $o{file} ? ('-f', $o{file}) : ('-c', $sql) ], %o);
}

# a client program of PostgreSQL's
sub client
{
    my ($self, $name, $args, %o) = @_;

    return run({ env => { PGCONNECT_TIMEOUT => 10, %{ $o{env} || {} } },
                 timeout => $o{timeout} || 120 }, "$BIN/$name",
               '-h', $self->{dir}, '-p', $self->{port},
               '-U', $o{user} || $self->{user},
               '-d', $o{database} || $self->{database}, @$args);
}

# the answer, or the end of the test
sub query
{
    my ($self, $sql, %o) = @_;
    my ($rc, $out, $err) = $self->psql($sql, %o);

    die "psql: $err\n$sql" if $rc != 0;
    chomp($out);

    return $out;
}

# as the superuser
sub admin
{
    my ($self, $sql, %o) = @_;

    return $self->query($sql, user => 'postgres', database => 'postgres', %o);
}

sub create
{
    my ($self, $name) = @_;

    $self->admin("CREATE DATABASE $name OWNER kong");
    return $name;
}

# what a node needs to use it
sub env
{
    my ($self, %o) = @_;

    return (
        KONG_DATABASE => 'postgres', KONG_PG_HOST => $o{host} || '127.0.0.1',
        KONG_PG_PORT => $self->{port}, KONG_PG_USER => $self->{user},
        KONG_PG_PASSWORD => 'kong',
        KONG_PG_DATABASE => $o{database} || $self->{database},
    );
}

sub log { return slurp("$_[0]{dir}/server.log") }

1;
