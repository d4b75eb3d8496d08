package KongTest;

# The harness of the end-to-end tests: temporary folders, ports, processes,
# waiting, and the tear-down that finds whatever a test left behind.  Only
# core Perl.  A test ends with finish() instead of done_testing().

use strict;
use warnings;

use Cwd ();
use Exporter 'import';
use File::Path ();
use File::Temp ();
use IO::Socket::INET ();
use IPC::Open3 ();
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes ();

our @EXPORT = qw(
    temp_dir free_port port_lock spawn kill_pid run slurp spit now nap
    wait_until json_decode json_encode at_end finish plan_skip top build
    nginx_bin nginx_start alive descendants rss_kb process_start shared_dir
    sanitized
);

my $MAIN = $$;
my ($TMP, @AT_END, %STARTED, $SLOT, $NEXT, $FINISHED);


# --- where things are

my $TOP = Cwd::abs_path(__FILE__ =~ m{^(.*)/t/lib/[^/]+$} ? $1 : '.');

sub top { return $TOP }

sub build
{
    my $b = $ENV{KONG_TEST_BUILD} || 'build';

    return $b =~ m{^/} ? $b : top() . "/$b";
}

sub sanitized { return build() =~ /-asan$/ ? 1 : 0 }

sub nginx_bin { return $ENV{KONG_TEST_NGINX} || '/usr/sbin/nginx' }

# recorded answers of a real Kong live beside the checkout, where they exist
sub shared_dir
{
    my $dir = top() . '/../shared';

    return -d $dir ? Cwd::abs_path($dir) : undef;
}

sub plan_skip { plan(skip_all => $_[0]) }


# --- files

sub temp_dir
{
    my ($name) = @_;

    if (!defined $TMP) {
        $TMP = File::Temp::tempdir('kong-test-XXXXXXXX', TMPDIR => 1);

        # nginx's workers run as another user when the tests run as root
        chmod(0755, $TMP);
    }

    return $TMP if !defined $name;

    my $dir = "$TMP/$name";
    File::Path::make_path($dir);

    return $dir;
}

sub slurp
{
    my ($path) = @_;

    open(my $fh, '<:raw', $path) or return undef;
    local $/;

    my $text = <$fh>;

    return defined $text ? $text : '';
}

# by rename, as an editor or a ConfigMap does
sub spit
{
    my ($path, $text) = @_;

    open(my $fh, '>:raw', "$path.tmp$$") or die "$path: $!";
    print $fh $text;
    close($fh) or die "$path: $!";
    rename("$path.tmp$$", $path) or die "$path: $!";

    return $path;
}

sub json_decode { return JSON::PP->new->utf8->allow_nonref->decode($_[0]) }

sub json_encode
{
    return JSON::PP->new->utf8->canonical->allow_nonref->encode($_[0]);
}


# --- ports: a test owns a range of 50 below the ephemeral ports; the socket
# that listens on the range's first port is the lock

sub free_port
{
    if (!defined $SLOT) {
        for my $try (1 .. 500) {
            my $base = 20000 + 50 * int(rand(240));

            $SLOT = IO::Socket::INET->new(Listen => 1, Proto => 'tcp',
                        LocalAddr => '127.0.0.1', LocalPort => $base);

            if (defined $SLOT) {
                $NEXT = $base + 1;
                last;
            }
        }

        die 'no free range of ports' if !defined $SLOT;
    }

    while ($NEXT % 50) {
        my $port = $NEXT++;
        my $s = IO::Socket::INET->new(Listen => 1, Proto => 'tcp',
                    LocalAddr => '127.0.0.1', LocalPort => $port,
                    ReuseAddr => 1);

        return $port if defined $s;
    }

    die 'the range of ports is used up';
}

# one test at a time may use a fixed port: holds until the process ends
sub port_lock
{
    my ($port, $timeout) = @_;
    my $end = now() + ($timeout || 900);
    my $s;

    until ($s = IO::Socket::INET->new(Listen => 1, Proto => 'tcp',
                    LocalAddr => '127.0.0.1', LocalPort => $port))
    {
        die "no lock on port $port" if now() > $end;
        nap(0.3);
    }

    at_end(sub { close($s) });

    return $s;
}


# --- time

sub now { return Time::HiRes::time() }

sub nap { Time::HiRes::sleep($_[0]) }

# wait_until(seconds, sub): the sub's first true value, or its last
sub wait_until
{
    my ($seconds, $code) = @_;
    my $end = now() + $seconds * (sanitized() ? 3 : 1);
    my $pause = 0.01;

    while (1) {
        my $value = $code->();

        return $value if $value || now() > $end;

        nap($pause);
        $pause *= 1.3 if $pause < 0.2;
    }
}


# --- processes

# a child that is killed with the test: spawn([env], command...), or a sub.
# The child is the head of its own process group.
sub spawn
{
    my (@cmd) = @_;
    my %env = ref $cmd[0] eq 'HASH' ? %{ shift @cmd } : ();
    my $out = delete $env{STDOUT};

    my $pid = fork();
    die "fork: $!" if !defined $pid;

    if ($pid == 0) {
        POSIX::setpgid(0, 0);
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);

        for my $name (keys %env) {
            if (defined $env{$name}) {
                $ENV{$name} = $env{$name};

            } else {
                delete $ENV{$name};
            }
        }

        if (defined $out) {
            open(STDOUT, '>', $out);
            open(STDERR, '>&', \*STDOUT);
        }

        if (ref $cmd[0] eq 'CODE') {
            eval { $cmd[0]->(); 1 } or print STDERR $@;
            POSIX::_exit(0);
        }

        exec(@cmd) or print STDERR "$cmd[0]: $!\n";
        POSIX::_exit(127);
    }

    POSIX::setpgid($pid, $pid);
    $STARTED{$pid} = process_start($pid);

    return $pid;
}

# ends what spawn() made, with its group
sub kill_pid
{
    my ($pid, $signal) = @_;

    return if !delete $STARTED{$pid};

    kill($signal || 'TERM', -$pid);

    my $gone = wait_until(3, sub { waitpid($pid, POSIX::WNOHANG()) != 0 });

    if (!$gone) {
        kill('KILL', -$pid);
        waitpid($pid, 0);
    }

    kill('KILL', -$pid);
}

# runs a command to its end: (exit code, stdout, stderr); 128 + n for signals.
# An options hash may come first: env, stdin, timeout, dir
sub run
{
    my %o = ref $_[0] eq 'HASH' ? %{ shift() } : ();
    my @cmd = @_;
    my $base = temp_dir() . "/run.$$." . int(rand(1e9));

    open(my $null, '<', '/dev/null');
    my $pid = fork();
    die "fork: $!" if !defined $pid;

    if ($pid == 0) {
        POSIX::setpgid(0, 0);
        open(STDIN, '<', defined $o{stdin} ? $o{stdin} : '/dev/null');
        open(STDOUT, '>', "$base.out");
        open(STDERR, '>', "$base.err");

        for my $name (keys %{ $o{env} || {} }) {
            if (defined $o{env}{$name}) {
                $ENV{$name} = $o{env}{$name};

            } else {
                delete $ENV{$name};
            }
        }

        chdir($o{dir}) if defined $o{dir};
        exec(@cmd) or print STDERR "$cmd[0]: $!\n";
        POSIX::_exit(127);
    }

    my $timeout = $o{timeout} || 60;
    my $rc;

    if (wait_until($timeout, sub { waitpid($pid, POSIX::WNOHANG()) != 0 })) {
        $rc = $? & 127 ? 128 + ($? & 127) : $? >> 8;

    } else {
        kill('KILL', -$pid);
        waitpid($pid, 0);
        $rc = 124;
    }

    my @answer = ($rc, slurp("$base.out"), slurp("$base.err"));
    unlink("$base.out", "$base.err");

    return @answer;
}

# a process's start time in ticks: pid and start name one process for ever
sub process_start
{
    my ($pid) = @_;
    my $stat = slurp("/proc/$pid/stat");

    return if !defined $stat || $stat !~ s/^.*\) //s;

    my @field = split(/ /, $stat);

    return $field[0] eq 'Z' ? undef : $field[19];
}

sub alive
{
    my ($pid, $start) = @_;
    my $is = process_start($pid);

    return 0 if !defined $is;
    return !defined $start || $is == $start;
}

# pid => start of these processes and all their children
sub descendants
{
    my %found = map { $_ => scalar process_start($_) } @_;
    my %children;

    for my $path (glob('/proc/[0-9]*/stat')) {
        my $stat = slurp($path);
        next if !defined $stat || $stat !~ /^(\d+) .*\) \S (\d+) /s;
        push @{ $children{$2} }, $1;
    }

    my @todo = keys %found;

    while (defined(my $pid = shift @todo)) {
        for my $child (@{ $children{$pid} || [] }) {
            next if exists $found{$child};
            $found{$child} = process_start($child);
            push @todo, $child;
        }
    }

    delete @found{ grep { !defined $found{$_} } keys %found };

    return %found;
}

sub rss_kb
{
    my ($pid) = @_;
    my $status = slurp("/proc/$pid/status");

    return defined $status && $status =~ /^VmRSS:\s+(\d+)/m ? $1 : undef;
}


# --- a plain nginx of our own: upstreams, baselines.  `servers` is the text
# of its http block; returns { pid, dir }
sub nginx_start
{
    my ($name, $servers, %o) = @_;
    my $dir = temp_dir($name);
    my $workers = $o{workers} || 1;

    mkdir("$dir/$_") for qw(tmp logs);
    spit("$dir/nginx.conf", <<"END");
daemon off;
worker_processes $workers;
error_log $dir/logs/error.log warn;
pid $dir/nginx.pid;
events { worker_connections 2048; }
http {
    access_log off;
    client_body_temp_path $dir/tmp/body;
    proxy_temp_path $dir/tmp/proxy;
    fastcgi_temp_path $dir/tmp/fastcgi;
    uwsgi_temp_path $dir/tmp/uwsgi;
    scgi_temp_path $dir/tmp/scgi;
    keepalive_requests 1000000;
    $servers
}
END

    my $pid = spawn({ STDOUT => "$dir/logs/stdout" }, nginx_bin(), '-p', $dir,
                    '-e', "$dir/logs/error.log", '-c', "$dir/nginx.conf");

    wait_until(10, sub { -s "$dir/nginx.pid" })
        or die "$name: nginx did not start: " . slurp("$dir/logs/stdout")
               . slurp("$dir/logs/error.log");

    return { pid => $pid, dir => $dir };
}


# --- the end

# run in reverse order at the end of the test, also after a die
sub at_end { push @AT_END, $_[0] }

sub tear_down
{
    my $status = $?;

    while (my $code = pop @AT_END) {
        eval { $code->(); 1 } or diag("tear-down: $@");
    }

    for my $pid (keys %STARTED) {
        kill_pid($pid);
    }

    if (defined $TMP) {
        if ($ENV{KONG_TEST_KEEP}) {
            diag("kept: $TMP");

        } else {
            File::Path::remove_tree($TMP, { error => \my $ignored });
        }

        undef $TMP;
    }

    $? = $status;
}

# what every test ends with: nodes stop, their logs are read, nothing is left
sub finish
{
    $FINISHED = 1;
    KongNode::finish_all() if KongNode->can('finish_all');
    done_testing();
    tear_down();
}

for my $signal (qw(INT TERM HUP)) {
    $SIG{$signal} = sub { exit(130) };
}
$SIG{PIPE} = 'IGNORE';

# a test that hangs ends, and tears down; one that waits for a fixed port may
# have to wait for another test
$SIG{ALRM} = sub { diag('the test takes too long'); exit(124) };
alarm(($ENV{KONG_TEST_TIMEOUT} || 600) * (sanitized() ? 2 : 1));

END { tear_down() if $$ == $MAIN }

1;
