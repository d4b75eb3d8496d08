# Runs every fuzz target for a short time, on its seeds when it has some
# (t/fuzz/seeds/NAME/).  KONG_TEST_FUZZ_SECONDS makes it longer.

use strict;
use warnings;

use KongTest;
use Test::More;

plan_skip('the fuzz targets have sanitizers of their own') if sanitized();

my $seconds = $ENV{KONG_TEST_FUZZ_SECONDS} || 10;
my @sources = sort glob(top() . '/t/fuzz/fuzz_*.c');

cmp_ok(scalar @sources, '>=', 2, 'there are fuzz targets');

for my $source (@sources) {
    my ($name) = $source =~ m{/fuzz_(\w+)\.c$};
    my $program = build() . "/fuzz/fuzz_$name";
    my $dir = temp_dir("fuzz-$name");
    my @seeds = grep { -d } top() . "/t/fuzz/seeds/$name";

    mkdir("$dir/corpus");

    my ($rc, $out, $err) = run({
        timeout => $seconds + 120, dir => $dir,
        env => { ASAN_OPTIONS => 'detect_leaks=1' }
    }, $program, "-max_total_time=$seconds", '-max_len=65536', '-timeout=10',
       '-rss_limit_mb=2048', '-print_final_stats=1', "$dir/corpus", @seeds);

    my ($runs) = $err =~ /number_of_executed_units: (\d+)/;

    is($rc, 0, "$name: " . ($runs || 0) . ' inputs')
        or diag(substr($err, -4000));
    cmp_ok($runs || 0, '>', 100, "$name: it ran");
}

finish();
