package KongLoad;

# wrk: constant load beside a test, and its figures.

use strict;
use warnings;

use Exporter 'import';
use KongTest;

our @EXPORT = qw(load_start load_wait);


# load_start(url, seconds =>, connections =>, threads =>, headers => {},
# script => lua text)
sub load_start
{
    my ($url, %o) = @_;
    my $out = temp_dir() . '/wrk.' . int(rand(1e9));
    my @cmd = ('wrk', '-d', $o{seconds} || 5, '-c', $o{connections} || 16,
               '-t', $o{threads} || 1, '--timeout', '10s', '--latency');

    push @cmd, map { ('-H', "$_: $o{headers}{$_}") }
               sort keys %{ $o{headers} || {} };

    if (defined $o{script}) {
        push @cmd, '-s', spit("$out.lua", $o{script});
    }

    my $pid = spawn({ STDOUT => $out }, @cmd, $url);

    return { pid => $pid, out => $out, end => now() + ($o{seconds} || 5) };
}

# the figures: { requests, failed (status not 2xx, 3xx), connect, read, write,
# timeout, rps, p99 (ms), text }
sub load_wait
{
    my ($load) = @_;

    wait_until($load->{end} - now() + 15, sub { !alive($load->{pid}) });
    kill_pid($load->{pid});

    my $text = slurp($load->{out}) || '';
    my %r = (text => $text, failed => 0, connect => 0, read => 0, write => 0,
             timeout => 0);

    ($r{requests}) = $text =~ /^\s*(\d+) requests in/m;
    ($r{rps}) = $text =~ m{^Requests/sec:\s+([\d.]+)}m;
    $r{failed} = $1 if $text =~ /Non-2xx or 3xx responses: (\d+)/;

    if ($text =~ /connect (\d+), read (\d+), write (\d+), timeout (\d+)/) {
        @r{qw(connect read write timeout)} = ($1, $2, $3, $4);
    }

    if ($text =~ /^\s+99%\s+([\d.]+)(us|ms|s)/m) {
        $r{p99} = $1 * { us => 0.001, ms => 1, s => 1000 }->{$2};
    }

    return \%r;
}

1;
