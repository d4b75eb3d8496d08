# The wall clock is set: forward by an hour, as after a sleep or by NTP, and
# back.  What is known of targets stays known, and nobody waits longer.

use strict;
use warnings;

use Fcntl;
use KongBalancer;
use KongEcho;
use KongNode;
use KongTest;
use Test::More;

plan_skip('a library is loaded before the sanitizers') if sanitized();

# a library that adds what stands in a file to the wall clock
my $dir = temp_dir('clock');
my $file = "$dir/offset";

sub set_clock
{
    my ($seconds) = @_;

    # in its place: it is mapped
    sysopen(my $fh, $file, O_RDWR | O_CREAT) or die "$file: $!";
    syswrite($fh, pack('q', $seconds));
    close($fh);
}

set_clock(0);
spit("$dir/clock.c", <<'C');
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long  *offset;

__attribute__((constructor)) static void
begin(void)
{
    int  fd = open(getenv("TEST_CLOCK"), O_RDONLY);

    offset = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int  rc = (int) syscall(SYS_clock_gettime, id, ts);

    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) {
        ts->tv_sec += *offset;
    }

    return rc;
}

int
gettimeofday(struct timeval *tv, void *tz)
{
    struct timespec  ts;

    (void) tz;
    clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;

    return 0;
}

time_t
time(time_t *t)
{
    struct timespec  ts;

    clock_gettime(CLOCK_REALTIME, &ts);

    if (t != NULL) {
        *t = ts.tv_sec;
    }

    return ts.tv_sec;
}
C

my ($rc, undef, $err) = run('gcc', '-shared', '-fPIC', '-O2', '-o',
                            "$dir/clock.so", "$dir/clock.c");
is($rc, 0, 'the library') or diag($err);

my @port = map { echo_start() } 1 .. 2;
my %upstream = (a => {
    healthchecks => { passive => { unhealthy => { tcp_failures => 1 } } },
    targets => [ map { ["127.0.0.1:$_"] } @port ]
});

my $node = node_start(workers => 2, config => balancer_config(%upstream),
    env => { LD_PRELOAD => "$dir/clock.so", TEST_CLOCK => $file });

# one request a worker, at least: both have the target by now
$node->get('/a') for 1 .. 20;

my $id = balancer_targets($node, 'a')->{ $port[0] }{id};
is(balancer_health($node, upstream => 'a', id => $id, state => 'unhealthy'),
   204, 'one of two is down');

sub sees
{
    my ($what) = @_;
    my %seen = balancer_spread($node, '/a', 20);

    is($seen{ $port[0] }, undef, "$what: it is down all the same");
    is($seen{ $port[1] }, 20, "$what: the other one serves");
    is(balancer_targets($node, 'a')->{ $port[0] }{health}, 'UNHEALTHY',
       "$what: and it is said to be");
}

sees('before');

for my $to (3600, -3600, 7200) {
    my $age = sub { $node->status->{controld}{heartbeat_age} };

    set_clock($to);

    # slots are looked through every minute of the clock that counts
    nap(2.5);
    sees("clock at $to s");
    is($node->post_config(balancer_config(%upstream, "x$to" => {
        targets => [] }))->status, 201, 'a new configuration');
    sees("clock at $to s, newly published");
    ok(wait_until(10, sub { my $s = $age->(); $s >= 0 && $s < 5 }),
       'heartbeats are told by the same clock');
}

finish();
