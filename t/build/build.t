# The build itself: the warning flags are those of the house, nothing warns,
# an unchanged tree builds nothing, and the sources keep the style.

use strict;
use warnings;

use KongTest;
use Test::More;

my @flags = qw(-Wall -Wextra -Werror -Wshadow -Wmissing-prototypes
               -Wstrict-prototypes -Wpointer-arith -std=gnu11);
my @san = sanitized() ? ('SAN=1') : ();
my %env = (MAKEFLAGS => undef, MFLAGS => undef, MAKELEVEL => undef);

# -W pretends that a file is new: make prints how it would compile it
my ($rc, $out) = run({ dir => top(), env => \%env }, 'make', '-n', @san,
                     '-W', 'controld/main.c', 'daemon');
my ($line) = grep { m{ -c .*controld/main\.c$} } split(/\n/, $out);

is($rc, 0, 'make -n');
ok(defined $line && index(" $line ", " $_ ") >= 0, "the daemon: $_")
    for @flags;

$out = slurp(build() . '/nginx/Makefile') || '';
like($out, qr/^CFLAGS =.* \Q$_\E(?: |$)/m, "the module: $_")
    for qw(-Wall -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes
           -Wpointer-arith);

my $log = slurp(build() . '/nginx/make.log');
unlike($log, qr/\bwarning:/, 'nothing warned in the module');

($rc, $out) = run({ dir => top(), env => \%env }, 'make', '-n', @san, 'all');
is($rc, 0, 'make once more');
unlike($out, qr/^echo ' +(?:CC|LD|AR|MOD) /m, 'compiles nothing');

($rc, $out) = run({ dir => top() }, 'scripts/check-style');
is($out, '', 'house style');

for my $script (glob(top() . '/scripts/*')) {
    my $text = slurp($script);

    if ($text =~ m{^#!/bin/(sh|bash)}) {
        my ($code, undef, $err) = run($1, '-n', $script);
        is("$code$err", '0', "$script: syntax");
    }
}

finish();
