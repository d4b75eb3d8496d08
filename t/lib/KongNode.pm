package KongNode;

# One node of the gateway in a prefix of its own, on ports of its own, driven
# through the command line as a user drives it.  finish() stops all nodes and
# asserts that their logs are clean and that no process, socket or shared
# memory is left.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();
use KongHttp;
use KongTest;
use Test::More;

our @EXPORT = qw(node_start node_new);

my @NODES;
my $COUNT = 0;

# what no log may hold
my $BAD = qr/\[(?:alert|emerg)\]|AddressSanitizer|runtime error:
             |LeakSanitizer|UndefinedBehavior/x;


# node_start(config => text or data, env => {}, workers => n, ...): a running
# node, or dies with what `kong start` said
sub node_start
{
    my $node = node_new(@_);
    my ($rc, $out, $err) = $node->start;

    die "kong start: exit $rc\n$out$err" . $node->logs if $rc != 0;

    return $node;
}

# config    kong.yml as text, or data (written as JSON); undef: no file
# env       more KONG_* settings; undef removes one of ours
# workers   worker processes (2)
# prefix    an existing prefix
# allow     a regex of log lines that are expected in spite of their level
# hosts     the text of a hosts file for the node's resolver
sub node_new
{
    my (%o) = @_;
    my $n = ++$COUNT;
    my $dir = temp_dir("node$n");
    my $prefix = $o{prefix} || "$dir/prefix";

    my $self = bless {
        n => $n, dir => $dir, prefix => $prefix, allow => $o{allow},
        workers => $o{workers} || 2, seen => {}, started => 0,
        proxy => $o{proxy} || free_port(), proxy_ssl => free_port(),
        admin => free_port(), status => free_port(), file => undef
    }, __PACKAGE__;

    my %env = (
        KONG_DATABASE => 'off',
        KONG_PROXY_LISTEN => "127.0.0.1:$self->{proxy}, "
                             . "127.0.0.1:$self->{proxy_ssl} ssl",
        KONG_ADMIN_LISTEN => "127.0.0.1:$self->{admin}",
        KONG_STATUS_LISTEN => "127.0.0.1:$self->{status}",
        KONG_ADMIN_GUI_LISTEN => 'off',
        KONG_NGINX_MAIN_WORKER_PROCESSES => $self->{workers},
        KONG_ANONYMOUS_REPORTS => 'off',
    );

    $env{KONG_NGINX_BIN} = $ENV{KONG_TEST_NGINX} if $ENV{KONG_TEST_NGINX};

    if (defined $o{config}) {
        my $suffix = ref $o{config} ? 'json' : 'yml';

        $self->{file} = "$dir/kong.$suffix";
        $self->write_config($o{config});
        $env{KONG_DECLARATIVE_CONFIG} = $self->{file};
    }

    if (defined $o{hosts}) {
        $env{KONG_DNS_HOSTSFILE} = spit("$dir/hosts", $o{hosts});
    }

    $env{$_} = $o{env}{$_} for keys %{ $o{env} || {} };
    $self->{env} = { clean_env(), sanitizer_env($dir), %env };
    delete @{ $self->{env} }{ grep { !defined $env{$_} } keys %env };

    push @NODES, $self;
    at_end(sub { $self->kill_all });

    return $self;
}

# settings of whoever runs the tests must not reach the node
sub clean_env
{
    return map { $_ => undef } grep { /^KONG_/ } keys %ENV;
}

sub sanitizer_env
{
    my ($dir) = @_;

    return if !sanitized();

    my @libs = map { my $l = `gcc -print-file-name=$_`; chomp $l; $l }
               qw(libasan.so libubsan.so);
    my $common = "log_path=$dir/san:print_stacktrace=1";

    # the reports of workers, which run as another user when we are root
    chmod(0777, $dir);

    return (
        LD_PRELOAD => join(' ', @libs),
        ASAN_OPTIONS => "detect_leaks=0:detect_odr_violation=0:$common",
        UBSAN_OPTIONS => $common,
    );
}

sub write_config
{
    my ($self, $config) = @_;

    spit($self->{file}, ref $config ? json_encode($config) : $config);
}


# --- the command line

# kong(arguments): (exit code, stdout, stderr), with the node's settings
sub kong
{
    my ($self, @args) = @_;

    return run({ env => $self->{env}, timeout => 60, dir => $self->{dir} },
               build() . '/kong', @args);
}

sub start
{
    my ($self, @args) = @_;
    my @answer = $self->kong('start', '-p', $self->{prefix}, @args);

    $self->{started} = 1 if $answer[0] == 0;
    $self->note_processes;

    return @answer;
}

# kong stop, and waits until its processes are gone; 1 when they are
sub stop
{
    my ($self, $command, @args) = @_;

    $self->note_processes;
    my ($rc, $out, $err) = $self->kong($command || 'stop', '-p',
                                       $self->{prefix}, @args);

    diag("kong stop: exit $rc $err") if $rc != 0;

    return $self->wait_gone;
}

sub wait_gone
{
    my ($self) = @_;

    $self->{started} = 0;

    return wait_until(15, sub { !$self->running });
}

sub reload
{
    my ($self) = @_;
    my @answer = $self->kong('reload', '-p', $self->{prefix});

    $self->note_processes;

    return @answer;
}


# --- processes

sub pid_of
{
    my ($self, $name) = @_;
    my $text = slurp("$self->{prefix}/pids/$name.pid");

    return defined $text && $text =~ /^(\d+)/ ? $1 : undef;
}

sub master { return $_[0]->pid_of('nginx') }

sub controld { return $_[0]->pid_of('controld') }

sub worker_pids
{
    my ($self) = @_;
    my $master = $self->master or return;
    my %all = descendants($master);
    my @workers = sort grep {
        (slurp("/proc/$_/cmdline") || '') =~ /^nginx: worker process\b(?! is)/
    } keys %all;

    return @workers;
}

# remembers every process of the node: by pid file, by prefix, by parent
sub note_processes
{
    my ($self) = @_;
    my @roots = grep { defined } ($self->master, $self->controld);

    for my $path (glob('/proc/[0-9]*/cmdline')) {
        my $text = slurp($path);
        next if !defined $text || $text !~ /nginx|kong|controld/;

        my ($pid) = $path =~ m{/proc/(\d+)/};
        next if $pid == $$;

        # a worker whose master is dead is known by its open log only
        push @roots, $pid if index($text, $self->{prefix}) >= 0
            || ($text =~ /^nginx: /
                && grep { index(readlink($_) || '', "$self->{prefix}/") == 0 }
                   glob("/proc/$pid/fd/*"));
    }

    my %all = descendants(@roots);
    delete $all{$$};
    $self->{seen}{$_} = $all{$_} for keys %all;
}

# pids of what still runs
sub running
{
    my ($self) = @_;

    $self->note_processes;

    return grep { alive($_, $self->{seen}{$_}) } keys %{ $self->{seen} };
}

sub kill_all
{
    my ($self) = @_;

    for (1 .. 20) {
        my @pids = $self->running or last;

        # a stopped master replaces no worker
        kill('STOP', grep { defined } $self->master, $self->controld);
        kill('KILL', @pids);
        nap(0.05);
    }
}


# --- talking to it

sub get
{
    my ($self, $path, %o) = @_;

    return http($self->{proxy}, $path, %o);
}

sub get_ssl
{
    my ($self, $path, %o) = @_;

    return https($self->{proxy_ssl}, $path, %o);
}

sub admin
{
    my ($self, $path, %o) = @_;

    return http($self->{admin}, $path, %o);
}

# POST /config of data (as JSON) or of text (as YAML)
sub post_config
{
    my ($self, $config, %o) = @_;
    my $type = ref $config ? 'application/json' : 'text/yaml';

    return $self->admin('/config' . ($o{query} || ''), method => 'POST',
        headers => { 'Content-Type' => $type, %{ $o{headers} || {} } },
        body => ref $config ? json_encode($config) : $config,
        timeout => 60);
}

sub status
{
    my ($self) = @_;

    return $self->admin('/status')->json;
}

# waits until a path answers this status; the last answer
sub wait_status
{
    my ($self, $path, $status, %o) = @_;
    my $answer;

    wait_until($o{seconds} || 10, sub {
        $answer = $self->get($path, %o);
        $answer->status == $status;
    });

    return $answer;
}


# --- logs

sub log_files
{
    my ($self) = @_;

    return grep { !/access/ } glob("$self->{prefix}/logs/*"),
           glob("$self->{dir}/san.*");
}

sub error_log
{
    my ($self) = @_;

    return join('', map { slurp($_) } $self->log_files);
}

# the ends of the logs, for messages
sub logs
{
    my ($self) = @_;

    return join('', map {
        my $text = slurp($_);
        "--- $_\n" . (length $text > 3000 ? substr($text, -3000) : $text)
    } $self->log_files);
}

sub access_log { return slurp("$_[0]{prefix}/logs/access.log") }

# lines that no run may write
sub bad_lines
{
    my ($self) = @_;
    my $allow = $self->{allow};

    return grep { /$BAD/ && !(defined $allow && /$allow/) }
           split(/\n/, $self->error_log);
}


# --- the end

sub finish_all
{
    for my $node (@NODES) {
        $node->finish_node;
    }

    @NODES = ();
}

sub finish_node
{
    my ($self) = @_;

    if ($self->{started} && $self->running) {
        ok($self->stop, "node $self->{n}: stopped by the command")
            or diag('left: ' . join(', ', map {
                   "$_ " . (slurp("/proc/$_/cmdline") || '') =~ tr/\0/ /r
               } $self->running));
    }

    my @left = $self->running;
    my @bad = $self->bad_lines;
    my @sockets = grep { -S } glob("$self->{prefix}/sockets/*");
    my @shm = grep { $_ !~ /^(?:sem|lttng)/ && /kong/i } shm_names();

    is("@left", '', "node $self->{n}: no process is left");
    is(join("\n", @bad[0 .. ($#bad > 9 ? 9 : $#bad)]), '',
       "node $self->{n}: no alarm in the logs");
    is("@sockets", '', "node $self->{n}: no socket is left");
    is("@shm", '', "node $self->{n}: no shared memory is left");

    diag($self->logs) if @bad || $ENV{KONG_TEST_VERBOSE};
}

sub shm_names
{
    opendir(my $dir, '/dev/shm') or return;

    return grep { !/^\./ } readdir($dir);
}

1;
