# All recorded answers of a real Kong's plugins, where the recordings are.

use strict;
use warnings;

use IO::Socket::INET;
use KongNode;
use KongTest;
use Test::More;

my $shared = shared_dir();
plan_skip('the recordings are not beside this checkout')
    if !defined $shared || !-f "$shared/conformance/plugins.json";

# the player's upstream has a fixed port
port_lock(18999);

# recorded lengths of bodies hold the proxy's port, which had four digits
my $port = (grep { IO::Socket::INET->new(Listen => 1,
                LocalAddr => "127.0.0.1:$_") }
            map { 2000 + int(rand(7000)) } 1 .. 50)[0];

my $node = node_start(workers => 2, proxy => $port);

my ($rc, $out, $err) = run({ timeout => 300 },
    'python3', "$shared/conformance/conformance.py",
    '--proxy', "127.0.0.1:$node->{proxy}",
    '--proxy-ssl', "127.0.0.1:$node->{proxy_ssl}",
    '--admin', "127.0.0.1:$node->{admin}",
    '--live', '1', "$shared/conformance/plugins.json");

my ($passed, $failed) = $out =~ /^(\d+) passed, (\d+) failed/m;

is($failed, 0, 'requests that differ') or diag(substr($out, 0, 20000));
is($passed, 280, 'requests that match');
is($rc, 0, 'the exit code');
diag($err) if $err ne '';

finish();
