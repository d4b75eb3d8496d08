# A publish is verified beside the event loop: the worker that took it goes on
# serving, answers in the order in which it was asked, and what happens to the
# worker or to the publisher meanwhile leaves the epoch whole.  The segments
# are large ones, so that there is a meanwhile: room behind the sections of a
# small one, which the checksum covers.

use strict;
use warnings;

use File::Copy ();
use IO::Select ();
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $size = (sanitized() ? 96 : 512) * 1024 * 1024;

my $node = node_start(workers => 2, config => {
    _format_version => '3.0',
    routes => [ {
        name => 'x', paths => ['/x'],
        plugins => [ { name => 'request-termination',
                       config => { status_code => 200, message => 'x' } } ]
    } ]
}, allow => qr/worker process \d+ exited on signal 9/);

my $dir = "$node->{prefix}/snapshots";
my $socket = "$node->{prefix}/sockets/control.sock";
my ($current, $endpoints)
    = (slurp("$dir/current") || '') =~ /^(\d+) (\d+)/;
my $next = $current + 1000;

ok($current, 'a pair is served');

# the test publishes in the daemon's place
kill('TERM', $node->controld);
ok(wait_until(10, sub { !-e "$node->{prefix}/sockets/admin.sock" }),
   'the daemon has gone');


# the generation of a copy of what is served, small or large; large ones
# that were served make room
sub segment
{
    my (@size) = @_;
    my $g = $next++;
    my $served = state();

    for (glob("$dir/*.config")) {
        unlink if m{/(\d+)\.config$} && $1 < $served && -s > 1e6;
    }

    my $file = "$dir/$g.config";
    my ($mode, $uid, $gid) = (stat("$dir/$current.config"))[2, 4, 5];

    File::Copy::copy("$dir/$current.config", $file) or die "$file: $!";
    chmod($mode & 07777, $file);
    chown($uid, $gid, $file);

    my ($rc, $out, $err)
        = run({}, build() . '/segment_tool', 'seal', $file, $g, @size);
    die "segment_tool: $err" if $rc != 0;

    return $g;
}

# a signal takes its time on a busy machine
sub stop
{
    my @pids = @_;

    kill('STOP', @pids);
    wait_until(10, sub { !grep { fields("/proc/$_")->[0] ne 'T' } @pids });
}

# a connection to this worker: the others cannot accept it
sub connect_to
{
    my ($pid) = @_;
    my @others = grep { $_ != $pid } $node->worker_pids;

    stop(@others);
    my $c = KongHttp->connect($socket);
    my $status = $c->request('/state')->status;
    kill('CONT', @others);

    is($status, 200, 'connected to one worker');

    return $c;
}

sub ask
{
    my ($c, $g) = @_;

    $c->send("POST /publish?config=$g&endpoints=$endpoints HTTP/1.1\r\n"
             . "Host: localhost\r\n\r\n");
}

sub answered
{
    my ($c) = @_;

    return IO::Select->new($c->{socket})->can_read(0) ? 1 : 0;
}

# the task of a worker's thread, which its first job has made
sub thread
{
    my ($pid) = @_;

    for my $task (glob("/proc/$pid/task/*")) {
        return $task if (slurp("$task/comm") || '') eq "kong-verifier\n";
    }

    return;
}

# asks a worker that has not verified anything yet, and sees it begin
sub ask_fresh
{
    my ($c, $pid, $g) = @_;

    ok(!thread($pid), 'no thread before the first publish');
    ask($c, $g);
    ok(wait_until(10, sub { thread($pid) }), 'the verification has begun');
}

sub state
{
    return http($socket, '/state')->json->{config};
}

# of a process or a thread, behind its name
sub fields
{
    return [ split(' ', (slurp("$_[0]/stat") || 'x) x') =~ s/^.*\) //r) ];
}


sub reload
{
    my %old = map { $_ => 1 } $node->worker_pids;

    kill('HUP', $node->master);

    return wait_until(20, sub {
        my @now = $node->worker_pids;
        @now == 2 && !grep { $old{$_} || !alive($_) } @now;
    });
}


# 1: the worker serves while it verifies

my ($one, $two) = $node->worker_pids;

stop($two);
my $c = KongHttp->connect($socket);
my $client = KongHttp->connect($node->{proxy});
is($client->request('/x')->status, 200, 'one worker serves');

my ($big, $during, $failed, $longest) = (segment($size), 0, 0, 0);
ask($c, $big);
my $begun = now();

while (!answered($c)) {
    my $start = now();
    $failed++ if $client->request('/x')->status != 200;
    my $took = now() - $start;
    $longest = $took if $took > $longest;
    $during++ if !answered($c);
}

note(sprintf('verified in %.0f ms, longest request %.1f ms',
             1000 * (now() - $begun), 1000 * $longest));

is($c->answer('POST')->status, 200, 'a large segment is published');
cmp_ok($during, '>=', 3, "$during requests were answered meanwhile");
is($failed, 0, 'none of them failed');
is(state(), $big, 'it is current');
is($client->request('/x')->status, 200, 'and serves');

my $task = thread($one);
ok($task, 'the worker has a thread');
is(fields($task)->[16], fields("/proc/$one")->[16] + 5,
   'five steps below the loop');
my ($blocked) = (slurp("$task/status") || '') =~ /^SigBlk:\s*[0-9a-f]*(\w{4})/m;
is(hex($blocked || 0) & 0x4205, 0x4205, 'that takes no signals');

# 2: what is damaged is refused as it is elsewhere

$big = segment($size);
open(my $fh, '+<', "$dir/$big.config") or die;
seek($fh, $size - 20, 0);
print $fh 'x';
close($fh);

my $was = state();
ask($c, $big);
my $a = $c->answer('POST');
is($a->status, 422, 'a large damaged one is refused');
is($a->json->{message},
   'the segment is damaged: its checksum does not match', 'why');
is(state(), $was, 'the one before stays');
unlink("$dir/$big.config");

# 3: those behind it wait for their turn

my @c = map { KongHttp->connect($socket) } 1 .. 4;
my @g = (segment($size), segment());

ask($c[0], $g[0]);
ok(wait_until(10, sub { $client->request('/x')->status == 200 }), 'taken');
ask($c[1], $g[0]);
ask($c[2], 99999999);
ask($c[3], $g[1]);

$a = $c[3]->answer('POST');
is($a->status, 200, 'the last one is published');
is($a->json->{config}, $g[1], 'it is the last one');
ok(answered($c[$_]), 'those before it were answered before') for 0 .. 2;
is($c[0]->answer('POST')->status, 200, 'the large one');
is($c[1]->answer('POST')->status, 200, 'the same once more');
is($c[2]->answer('POST')->status, 422, 'a file that is not there');
is(state(), $g[1], 'the last one is current');

# 4: a publisher that does not wait

$big = segment($size);
my $gone = KongHttp->connect($socket);
ask($gone, $big);
close($gone->{socket});
ok(wait_until(20, sub { state() == $big }), 'what it asked for happens');
is($client->request('/x')->status, 200, 'it serves');

kill('CONT', $two);

# 5: two workers: the one that was asked later has the last word

my ($small, $overtaken);

for (1 .. 5) {
    ($one, $two) = $node->worker_pids;
    $c = connect_to($two);
    my $other = connect_to($one);

    $big = segment($size);
    $small = segment();
    ask_fresh($c, $two, $big);
    ask($other, $small);
    is($other->answer('POST')->status, 200, 'another worker takes the next');
    $overtaken = !answered($c);
    is($c->answer('POST')->status, 200, 'the large one is answered, too');
    is(state(), $small, 'what was asked for later stays');
    ok(reload(), 'reloaded');

    last if $overtaken;
}

ok($overtaken, 'the next one was there before the large one');

# 6: shut down meanwhile, as a reload does: the worker finishes

($one, $two) = $node->worker_pids;
$c = connect_to($one);
$big = segment($size);
ask_fresh($c, $one, $big);
kill('QUIT', $one);
is($c->answer('POST')->status, 200, 'it is published');
is(state(), $big, 'and current');
ok(wait_until(10, sub { !alive($one) && $node->worker_pids == 2 }),
   'then the worker goes, and is replaced');

# 7: killed meanwhile: nothing has happened

($one, $two) = $node->worker_pids;
$c = connect_to($one);
$was = state();
$big = segment($size);
ask_fresh($c, $one, $big);
kill('KILL', $one);
$was = $big if $c->answer('POST')->status == 200;
ok(wait_until(10, sub {
    my @now = $node->worker_pids;
    @now == 2 && !grep { $_ == $one } @now;
}), 'it is replaced');
is(state(), $was, 'nothing has changed that was not answered');
is($node->get('/x')->status, 200, 'everywhere') for 1 .. 4;

$c = KongHttp->connect($socket);
ask($c, $big);
is($c->answer('POST')->status, 200, 'asked again, it is published');

# 8: stopped meanwhile

($one) = grep { !thread($_) } $node->worker_pids;
$c = connect_to($one);
ask_fresh($c, $one, segment($size));
kill('TERM', $node->master);
ok($node->wait_gone, 'nginx stops');

finish();
