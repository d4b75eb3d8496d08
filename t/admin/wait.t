# Read your writes: when ?wait=true answers, every worker serves it; every
# answer to a write names the generation that has it, which may be one to
# come.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongPg;
use KongTest;
use Test::More;

my $TIMES = 1000;
my $WORKERS = 4;

pg_skip();

my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

my $echo = echo_start();
my $node = node_start(env => { $pg->env }, workers => $WORKERS);

sub call
{
    my ($method, $path, $body, %headers) = @_;

    return $node->admin($path, method => $method,
        headers => { 'Content-Type' => 'application/json', %headers },
        defined $body ? (body => json_encode($body)) : ());
}

my $r = call('POST', '/services?wait=true',
             { name => 's', url => "http://127.0.0.1:$echo" });
is($r->status, 201, 'a service');
like($r->header('X-Kong-Generation'), qr/^\d+$/, 'its generation');

# kept connections belong to a worker each; more of them than workers
my @kept = map { KongHttp->connect($node->{proxy}) } 1 .. 4 * $WORKERS;

sub kept
{
    my ($path) = @_;
    my $i = int(rand(@kept));
    my $r = $kept[$i]->request($path);

    $kept[$i] = KongHttp->connect($node->{proxy})
        if !$r->status || lc($r->header('Connection') || '') eq 'close';

    return $r->status;
}

my ($late, $unnamed, $falling, $last) = (0, 0, 0, 0);

for my $i (1 .. $TIMES) {
    my $made = call('POST', '/services/s/routes?wait=true',
                    { name => "r$i", paths => ["/r$i/"] });

    my $number = $made->header('X-Kong-Generation') || 0;
    $unnamed++ if !$number;
    $falling++ if $number < $last;
    $last = $number;

    $late++ if kept("/r$i/") != 200;
    $late++ if kept("/r$i/") != 200;
    $late++ if $node->get("/r$i/")->status != 200;
}

is($late, 0, "$TIMES routes: none was late");
is($unnamed, 0, 'each answer named its generation');
is($falling, 0, 'the numbers rise');

$late = 0;

for my $i (1 .. $TIMES / 4) {
    call('DELETE', "/routes/r$i", undef, 'Prefer' => 'wait');
    $late++ if kept("/r$i/") != 404;
}

is($late, 0, 'Prefer: wait: what was deleted is gone');

# without a wait: what is served under that number, or a later one, has it

sub reached
{
    my ($number) = @_;

    return wait_until(10, sub {
        ($node->admin('/generation')->json->{generation} || 0) >= $number;
    });
}

my ($missing, $never) = (0, 0);
$unnamed = 0;

for my $i (1 .. 200) {
    my $made;

    # more under way than one, so that numbers of all kinds are promised
    $made = call('POST', '/services/s/routes',
                 { name => "n$i-$_", paths => ["/n$i-$_/"] })
        for 1 .. 1 + $i % 3;

    my $number = $made->header('X-Kong-Generation') || 0;
    my $name = 'n' . $i . '-' . (1 + $i % 3);

    $unnamed++ if !$number;
    $never++ if !reached($number);
    $missing++ if kept("/$name/") != 200;
}

is($unnamed, 0, 'no wait: each answer named a generation');
is($never, 0, 'each of them came');
is($missing, 0, 'each of them had the write');

# a change and its opposite may meet in one reading, which changes nothing
$never = 0;

for my $i (1 .. 60) {
    call('PUT', "/consumers/c$i", {});
    my $gone = call('DELETE', "/consumers/c$i");
    $never++ if !reached($gone->header('X-Kong-Generation') || 1e9);
}

is($never, 0, 'what comes to nothing has a generation as well');

$r = call('PATCH', '/services/s', { retries => 3 });
is($r->status, 200, 'without a wait');
like($r->header('X-Kong-Source-Version'), qr/^\d+$/, 'the change counter');

my $version = $r->header('X-Kong-Source-Version');
my $g;

ok(wait_until(5, sub {
    $g = $node->admin('/generation')->json;
    defined $g->{version} && $g->{version} >= $version;
}), '/generation reaches it');

like($g->{node_id}, qr/^[0-9a-f-]{36}$/, 'the node');
cmp_ok($g->{generation}, '>=', $last, 'the generation');
like($g->{hash}, qr/^[0-9a-f]{32}$/, 'the hash');

finish();
