# Runs every unit test program: t/unit/test_NAME.c is build/unit/test_NAME.

use strict;
use warnings;

use KongTest;
use Test::More;

my @sources = sort glob(top() . '/t/unit/test_*.c');

cmp_ok(scalar @sources, '>', 0, 'there are unit tests');

for my $source (@sources) {
    my ($name) = $source =~ m{/(test_\w+)\.c$};
    my $program = build() . "/unit/$name";

    if (!-x $program) {
        fail("$name: not built: run make unit");
        next;
    }

    # cmocka's own order of TAP and exit codes: the code counts failures
    my ($rc, $out, $err) = run({
        timeout => 300, dir => top(),
        env => {
            CMOCKA_MESSAGE_OUTPUT => 'TAP',
            ASAN_OPTIONS => 'detect_leaks=1',
            UBSAN_OPTIONS => 'print_stacktrace=1:halt_on_error=1',
        }
    }, $program);

    my $passed = () = $out =~ /^ok /mg;
    my $failed = () = $out =~ /^not ok /mg;

    ok($rc == 0 && $failed == 0 && $passed > 0, "$name: $passed tests")
        or diag("exit code $rc\n$out$err");
}

finish();
