# The Admin API in database mode, as a real Kong answered: recorded
# conversations, where the recordings are.

use strict;
use warnings;

use KongNode;
use KongPg;
use KongTest;
use Test::More;

pg_skip();

my $shared = shared_dir();
plan_skip('the recordings are not beside this checkout')
    if !defined $shared || !-f "$shared/conformance/admin.json";

my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

my $node = node_start(env => { $pg->env });

($rc, $out, $err) = run({ timeout => 300 },
    'python3', "$shared/conformance/admin.py",
    '--admin', "127.0.0.1:$node->{admin}",
    "$shared/conformance/admin.json");

my ($passed, $failed) = $out =~ /^(\d+) passed, (\d+) failed/m;
my @steps = $out =~ /^FAIL (.+? step \d+):/mg;

# Kong's explanations of fields are not part of our schemas
is_deeply(\@steps, [ 'schemas step 0', 'schemas step 1' ],
          'steps that differ') or diag(substr($out, 0, 20000));
cmp_ok($passed || 0, '>=', 192, 'steps that match');
is($failed, 2, 'all were played');
diag($err) if $err ne '';

# but for the explanations they are the same
sub bare
{
    my ($v) = @_;

    return [ map { bare($_) } @$v ] if ref $v eq 'ARRAY';
    return $v if ref $v ne 'HASH';

    # a field may be called so, and is no text
    return { map { $_ => bare($v->{$_}) }
             grep { $_ ne 'description' || ref $v->{$_} } keys %$v };
}

for my $talk (@{ json_decode(slurp("$shared/conformance/admin.json")) }) {
    for my $step (@{ $talk->{steps} }) {
        next if $step->{method} ne 'GET'
            || $step->{path} !~ m{^/schemas/} || !ref $step->{expect}{body}
            || $step->{expect}{status} != 200;

        is_deeply(bare($node->admin($step->{path})->json),
                  bare($step->{expect}{body}), "$step->{path}, bare");
    }
}

finish();
