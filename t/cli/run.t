# make run: the node and its sample upstream start, the three lines that it
# prints work, Ctrl-C leaves nothing behind.

use strict;
use warnings;

use IO::Socket::INET ();
use KongHttp;
use KongTest;
use POSIX ();
use Test::More;

plan_skip('the sanitizers\' build is not what make run runs') if sanitized();
port_lock(18998);

for my $port (8000, 8001, 8007, 8443, 9080) {
    plan_skip("port $port is taken")
        if IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
}

my $tmp = temp_dir('run');
my $out = "$tmp.out";
chmod(0755, $tmp);

my %env = map { $_ => undef } grep { /^KONG_/ } keys %ENV;
my $pid = spawn({ %env, TMPDIR => $tmp, STDOUT => $out },
                top() . '/scripts/run');

ok(wait_until(30, sub { (slurp($out) || '') =~ /Ctrl-C/ }), 'it starts')
    or diag(slurp($out));

my %family = descendants($pid);
my @lines = (slurp($out) || '') =~ /^\s+(curl .*)$/mg;
is(scalar @lines, 3, 'three lines to try');

for my $line (@lines) {
    my ($rc, $text) = run('sh', '-c', "$line -f");
    is($rc, 0, $line) or diag($text);
}

my $a = http(8000, '/hello/world');
is($a->status, 200, 'the sample service');
like($a->body, qr{GET /world$}m, 'the prefix is stripped');
is(http(8000, '/v1/users/42', host => 'api.example.com')->status, 200,
   'the route with a host');

# every process of it, also what detached itself
for my $path (glob('/proc/[0-9]*/cmdline')) {
    next if index(slurp($path) || '', $tmp) < 0;
    my ($p) = $path =~ m{/proc/(\d+)/};
    %family = (%family, descendants($p));
}
delete $family{$$};

# what a terminal sends
kill('INT', -$pid);
ok(wait_until(15, sub { waitpid($pid, POSIX::WNOHANG()) != 0 }),
   'Ctrl-C ends it');
ok(wait_until(10, sub {
    !grep { $_ != $pid && alive($_, $family{$_}) } keys %family
}), 'no process is left')
    or diag(map { "$_ " . (slurp("/proc/$_/cmdline") || '') . "\n" }
            grep { alive($_, $family{$_}) } keys %family);
is(http(8000, '/')->status, 0, 'nobody listens');
is(join(' ', glob("$tmp/*")), '', 'no file is left');

finish();
