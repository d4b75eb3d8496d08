# All recorded routing answers of a real Kong, where the recordings are.

use strict;
use warnings;

use KongNode;
use KongTest;
use Test::More;

my $shared = shared_dir();
plan_skip('the recordings are not beside this checkout')
    if !defined $shared || !-f "$shared/conformance/routing.json";

# the player's upstream has a fixed port
port_lock(18999);

# recorded with one worker; here the rules must hold on two
my $node = node_start(workers => 2);

my ($rc, $out, $err) = run({ timeout => 600 },
    'python3', "$shared/conformance/conformance.py",
    '--proxy', "127.0.0.1:$node->{proxy}",
    '--proxy-ssl', "127.0.0.1:$node->{proxy_ssl}",
    '--admin', "127.0.0.1:$node->{admin}",
    '--live', '1', "$shared/conformance/routing.json");

my ($passed, $failed) = $out =~ /^(\d+) passed, (\d+) failed/m;

is($failed, 0, 'requests that differ') or diag(substr($out, 0, 20000));
is($passed, 1473, 'requests that match');
is($rc, 0, 'the exit code');
diag($err) if $err ne '';

finish();
