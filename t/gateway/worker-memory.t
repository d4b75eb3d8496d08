# What a worker keeps of a configuration is bounded, however much of it is in
# use: compiled regexes, and services' settings that differ.  Behind the bound
# everything goes on to work.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my ($regexes, $settings) = (5000, 2000);

# private memory of the only worker, KB
sub private
{
    my ($node) = @_;
    my ($pid) = $node->worker_pids;
    my $kb = 0;

    open(my $f, '<', "/proc/$pid/smaps_rollup") or return 0;

    while (<$f>) {
        $kb += $1 if /^Private_Dirty:\s+(\d+)/;
    }

    return $kb;
}

# how many of these paths get this status
sub count
{
    my ($node, $status, @paths) = @_;
    my ($n, $i, $c) = (0, 0);

    for (@paths) {
        $c = KongHttp->connect($node->{proxy}) if $i++ % 500 == 0;
        $n++ if $c->request($_)->status == $status;
    }

    return $n;
}

sub grown
{
    my ($node, $before, $limit, $what) = @_;
    my $kb = private($node) - $before;

    SKIP: {
        skip('a sanitizer keeps what is freed', 1) if sanitized();
        cmp_ok($kb, '<', $limit, "$what: $kb KB more");
    }
}

# --- regexes, each of which is like no other

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    routes => [ map { {
        name => "r$_", paths => [ "~/p$_/(?<v>[a-z]{1,9})x$_\$" ]
    } } 1 .. $regexes ],
    plugins => [ { name => 'request-termination',
                   config => { status_code => 418 } } ]
});

is(count($node, 418, map { "/p$_/ax$_" } 1 .. 50), 50, 'regexes match');

my $before = private($node);
is(count($node, 418, map { "/p$_/ax$_" } 1 .. $regexes), $regexes,
   'all of them');
grown($node, $before, 2048, 'regexes');
is(count($node, 404, map { "/p$_/ax" } 1 .. 50), 50, 'what has gone is back');
is(count($node, 418, ('/p7/ax7') x 50), 50,
   'one that is used again and again');
is(count($node, 418, map { "/p$_/ax$_" } reverse 1 .. $regexes), $regexes,
   'and all of them again');
grown($node, $before, 2048, 'once more');
$node->stop;

# --- services, each with timeouts of its own

my $upstream = echo_start();

$node = node_start(workers => 1, config => {
    _format_version => '3.0',
    services => [ map { {
        name => "s$_", url => "http://127.0.0.1:$upstream",
        read_timeout => 60000 + $_,
        routes => [ { name => "r$_", paths => ["/s$_/"] } ]
    } } 1 .. $settings ]
});

is(count($node, 200, map { "/s$_/" } 1 .. 300), 300, 'services answer');
$before = private($node);
is(count($node, 200, map { "/s$_/" } 1 .. $settings), $settings,
   'all of them');
grown($node, $before, 1024, 'settings');

done_testing();
