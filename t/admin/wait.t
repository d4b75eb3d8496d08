# Read your writes: when ?wait=true answers, every worker serves it; every
# answer to a write names its generation.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongPg;
use KongTest;
use Test::More;

my $TIMES = $ENV{KONG_TEST_LONG} ? 1000 : 200;

pg_skip();

my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

my $echo = echo_start();
my $node = node_start(env => { $pg->env }, workers => 4);

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

my ($late, $unnamed, $falling, $last) = (0, 0, 0, 0);

for my $i (1 .. $TIMES) {
    my $made = call('POST', '/services/s/routes?wait=true',
                    { name => "r$i", paths => ["/r$i/"] });

    my $number = $made->header('X-Kong-Generation') || 0;
    $unnamed++ if !$number;
    $falling++ if $number < $last;
    $last = $number;

    # connections of their own, for several workers
    for (1 .. 3) {
        $late++ if $node->get("/r$i/")->status != 200;
    }
}

is($late, 0, "$TIMES routes: none was late");
is($unnamed, 0, 'each answer named its generation');
is($falling, 0, 'the numbers rise');

$late = 0;

for my $i (1 .. $TIMES / 4) {
    call('DELETE', "/routes/r$i", undef, 'Prefer' => 'wait');
    $late++ if $node->get("/r$i/")->status != 404;
}

is($late, 0, 'Prefer: wait: what was deleted is gone');

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
