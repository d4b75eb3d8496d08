# Files from the wild: `kong config parse` says what Kong says about each,
# and POST /config refuses with the same fields.

use strict;
use warnings;

use KongNode;
use KongTest;
use Test::More;

my $shared = shared_dir();
plan_skip('the files are not beside this checkout')
    if !defined $shared || !-f "$shared/realworld/verdicts.json";

my $verdicts = json_decode(slurp("$shared/realworld/verdicts.json"));
my $node = node_start();

is(scalar @$verdicts, 42, 'files');

for my $v (@$verdicts) {
    my $file = "$shared/realworld/$v->{file}";
    my ($rc, $out, $err) = $node->kong('config', 'parse', $file, '-p',
                                       $node->{prefix});

    if ($v->{status} == 201) {
        is($rc, 0, "$v->{file}: good") or diag($err);
        like($out, qr/^parse successful$/m, "$v->{file}: says so");
        next;
    }

    is($rc, 1, "$v->{file}: refused");
    like($err, qr/^Error: Failed parsing:\n\S/m, "$v->{file}: says why")
        or diag($err);

    my $a = $node->post_config(slurp($file));

    is($a->status, 400, "$v->{file}: POST /config");

    # Kong's own faults have no fields to compare
    next if $v->{status} != 400;

    is_deeply(($a->json || {})->{fields}, $v->{error}{fields},
              "$v->{file}: fields") or diag($a->body);
}

finish();
