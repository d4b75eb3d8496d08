# How bad documents are refused by POST /config: recorded answers of a real
# Kong, where the recordings are.

use strict;
use warnings;

use KongNode;
use KongTest;
use Test::More;

my $shared = shared_dir();
plan_skip('the recordings are not beside this checkout')
    if !defined $shared || !-f "$shared/conformance/declarative.json";

my $node = node_start();

my ($rc, $out, $err) = run({ timeout => 300 },
    'python3', "$shared/conformance/admin.py",
    '--admin', "127.0.0.1:$node->{admin}", '--only', 'bad',
    "$shared/conformance/declarative.json");

my ($passed, $failed) = $out =~ /^(\d+) passed, (\d+) failed/m;

is($failed, 0, 'steps that differ') or diag(substr($out, 0, 20000));
cmp_ok($passed || 0, '>', 20, 'steps that match');
is($rc, 0, 'the exit code');
diag($err) if $err ne '';

finish();
