# The snapshots' disk is full while the database changes: traffic goes on
# with what was published, /status, kong health and the log say why nothing
# new is; with room again the changes are live by themselves.  Needs a mount
# namespace of its own.

use strict;
use warnings;

use KongEcho;
use KongLoad;
use KongNode;
use KongPg;
use KongRows;
use KongTest;
use Test::More;

if (!$ENV{KONG_TEST_NAMESPACE}) {
    plan_skip('needs root') if $> != 0;
    plan_skip('no mount namespaces here')
        if system('unshare -m true >/dev/null 2>&1') != 0;
    $ENV{KONG_TEST_NAMESPACE} = 1;
    exec('unshare', '-m', '--propagation', 'private', $^X,
         map({ "-I$_" } @INC), $0);
}

pg_skip();

my $pg = pg_new();
my $rows = rows_new($pg, upstream => echo_start());
$rows->route('a');

my $node = node_new(env => { $pg->env });
my $disk = "$node->{prefix}/snapshots";
my $filler = "$disk/filler";

mkdir($node->{prefix});
mkdir($disk, 0700);
system('mount', '-t', 'tmpfs', '-o', 'size=4m,mode=0700', 'none', $disk) == 0
    or plan_skip('no tmpfs here');
at_end(sub { system('umount', '-l', $disk) });

my ($rc, $out, $err) = $node->start;
is($rc, 0, 'start') or diag($err . $node->logs);
is($node->wait_status('/a', 200)->status, 200, 'it serves');

# not a byte is left
sub fill
{
    open(my $fh, '>', $filler) or die "$filler: $!";

    for my $size (65536, 4096, 1) {
        1 while syswrite($fh, 'x' x $size);
    }

    close($fh);
}

sub source { return $node->status->{source} }

my $load = load_start("http://127.0.0.1:$node->{proxy}/a", seconds => 8,
                      connections => 4);

fill();
$rows->route('b');
ok(wait_until(10, sub { !source()->{ok} }), '/status: not all is well');
like(source()->{message}, qr/No space left on device/, 'and why');
like(($node->kong('health', '-p', $node->{prefix}))[1],
     qr/No space left on device/, 'kong health says it');
is($node->status->{database}{reachable}, 1, 'the database is not blamed');
is($node->get('/b')->status, 404, 'nothing is published by halves');

# many changes, each of which finds no room
$rows->route("more$_") for 1 .. 5;
$rows->sql("DELETE FROM routes WHERE name = 'more5'");
is($node->get('/a')->status, 200, 'traffic goes on');
is(join(' ', grep { -z } glob("$disk/*")), '', 'no file without its bytes');

unlink($filler);
is($node->wait_status('/more4', 200, seconds => 15)->status, 200,
   'with room the changes are live by themselves');
is($node->get('/b')->status, 200, 'all of them');
is($node->get('/more5')->status, 404, 'as the database has them');
ok(wait_until(10, sub { source()->{ok} }), '/status: all is well');

my $r = load_wait($load);
is($r->{failed} + $r->{connect} + $r->{read} + $r->{timeout}, 0,
   'no request failed') or diag($r->{text});

my $lines = () = slurp("$node->{prefix}/logs/controld.log")
                 =~ /No space left on device/g;
cmp_ok($lines, '>', 0, 'the log says it');
cmp_ok($lines, '<', 20, "not again and again ($lines)");

# a daemon that starts while there is no room serves what was
fill();
$rows->route('c');
ok(wait_until(10, sub { !source()->{ok} }), 'full again');
kill('KILL', $node->controld);
is(($node->reload)[0], 0, 'another daemon');
is($node->get('/a')->status, 200, 'it serves');
unlink($filler);
is($node->wait_status('/c', 200, seconds => 15)->status, 200,
   'and goes on when there is');

ok($node->stop, 'stopped');
fill();
($rc, $out, $err) = $node->start;
is($rc, 0, 'a start without room') or diag($err);
is($node->get('/c')->status, 200, 'serves the last configuration');
unlink($filler);

finish();
