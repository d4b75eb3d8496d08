# Files from the wild: `kong config parse` says what Kong says about each, and
# POST /config of a node answers as Kong does, with the same fields where it
# refuses.  A file that Kong takes and that uses a plugin of the refused list
# is refused by name: the notes say which.

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
my %never = slurp(top() . '/docs/plugins.md')
            =~ /^\| \[([\w-]+)\]\(#[\w-]+\) \| -?\d+ \| (never) \|$/mg;
my %kept;

is(scalar @$verdicts, 42, 'files');

for my $v (@$verdicts) {
    my $file = "$shared/realworld/$v->{file}";
    my ($rc, $out, $err) = $node->kong('config', 'parse', $file, '-p',
                                       $node->{prefix});

    if ($v->{status} == 201) {
        is($rc, 0, "$v->{file}: good") or diag($err);
        like($out, qr/^parse successful$/m, "$v->{file}: says so");
        posted($v);
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

note("$_ is refused for its $kept{$_}: $never{$kept{$_}} implemented")
    for sort keys %kept;
note(scalar(keys %kept) . ' files are refused for plugins that never run');

finish();


# taken by Kong: and here, unless the answer names a plugin that is not here
sub posted
{
    my ($v) = @_;
    my $text = slurp("$shared/realworld/$v->{file}");
    my $a = $node->post_config($text);
    my ($plugin) = $a->body =~ /plugin '([\w-]+)' \(id/;

    if ($a->status == 400 && defined $plugin && $never{$plugin}) {
        $kept{$v->{file}} = $plugin;
        like($text, qr/\b\Q$plugin\E\b/, "$v->{file}: uses $plugin");
        return;
    }

    is($a->status, 201, "$v->{file}: POST /config") or diag($a->body);
}
