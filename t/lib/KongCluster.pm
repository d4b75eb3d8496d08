package KongCluster;

# Two servers of scripts/cluster, below the test's folder: as KongPg's
# objects, and what happens to them.  They end with the test.

use strict;
use warnings;

use Exporter 'import';
use KongPg;
use KongTest;
use Test::More;

our @EXPORT = qw(cluster_start);

my $SCRIPT = top() . '/scripts/cluster';


# cluster_start(plain => 1): streaming replication without Patroni
sub cluster_start
{
    my (%o) = @_;
    my @ports = map { free_port() } 1 .. 6;
    my $self = bless { dir => temp_dir('cluster'), plain => $o{plain} },
                     __PACKAGE__;

    at_end(sub { $self->stop });
    $self->run_it({ CLUSTER_PORTS => "@ports" }, 'start',
                  $o{plain} ? '--plain' : ());

    for my $n (1, 2) {
        $self->{servers}{"pg$n"} = pg_at(dir => "$self->{dir}/pg$n",
                                         port => $ports[$n - 1]);
    }

    my $pg = $self->{servers}{pg1};
    $pg->admin("CREATE ROLE kong LOGIN PASSWORD 'kong'");
    $pg->admin('CREATE DATABASE kong OWNER kong');

    return $self;
}

sub run_it
{
    my ($self, @args) = @_;
    my $env = ref $args[0] ? shift @args : {};
    my $command = shift @args;
    my ($rc, $out, $err) = run({ env => $env, timeout => 90 }, $SCRIPT,
                               $command, $self->{dir}, @args);

    die "cluster $command: $out$err" if $rc != 0;
    chomp($out);

    return $out;
}

sub server { return $_[0]{servers}{$_[1]} }

sub servers { return @{ $_[0]{servers} }{qw(pg1 pg2)} }

# what a node needs to use it
sub env
{
    my ($self) = @_;

    return ($self->{servers}{pg1}->env,
            KONG_PG_HOST => $self->run_it('hosts'));
}

# the server's name; commands of scripts/cluster
sub kill_primary { return $_[0]->run_it('kill-primary') }

sub promote { return $_[0]->run_it('promote') }

sub return_old { return $_[0]->run_it('return-old') }

sub follow_new { return $_[0]->run_it('follow-new') }

sub switchover { return $_[0]->run_it('switchover') }

# "primary", "replica", "down" ...
sub role
{
    my ($self, $name) = @_;
    my ($role) = $self->run_it('status') =~ /^$name \d+ (\w+)/m;

    return $role || 'none';
}

# waits until this server is the primary; when that was
sub promoted
{
    my ($self, $name, $seconds) = @_;
    my $pg = $self->server($name);

    wait_until($seconds, sub {
        my ($rc, $out) = $pg->psql('SELECT pg_is_in_recovery()',
                                   user => 'postgres', database => 'postgres');
        nap(0.02);
        $rc == 0 && $out =~ /^f/;
    }) or return;

    return now();
}

# pids of what still runs there
sub left
{
    my ($self) = @_;

    return grep {
        my $cwd = readlink("/proc/$_/cwd");
        defined $cwd && index($cwd, "$self->{dir}/") == 0 && alive($_);
    } map { m{/proc/(\d+)} } glob('/proc/[0-9]*');
}

sub stop
{
    my ($self) = @_;

    return if $self->{stopped}++;

    run({ timeout => 90 }, $SCRIPT, 'stop', $self->{dir});
}

# to be called before finish()
sub is_stopped
{
    my ($self) = @_;

    $self->stop;
    is(join(' ', $self->left), '', 'the cluster leaves no process');
}

sub log
{
    my ($self) = @_;

    return join('', map { my $t = slurp($_); "--- $_\n"
        . (length $t > 4000 ? substr($t, -4000) : $t) }
        glob("$self->{dir}/log/*"));
}

1;
