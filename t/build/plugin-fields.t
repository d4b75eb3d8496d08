# Every plugin that runs has a test file of its own, and every field of its
# configuration is in it, or in another one that names the plugin in its first
# lines.  The fields are those of the tables, as docs/plugins.md lists them.

use strict;
use warnings;

use KongTest;
use Test::More;

my $doc = slurp(top() . '/docs/plugins.md');
my %runs = $doc =~ /^\| \[([\w-]+)\]\(#[\w-]+\) \| -?\d+ \| (\w[\w ]*) \|$/mg;
my @plugins = sort grep { $runs{$_} eq 'yes' } keys %runs;
my %files = map { $_ => slurp($_) } glob(top() . '/t/plugins/*.t');

cmp_ok(scalar @plugins, '>=', 20, 'plugins run');

for my $plugin (@plugins) {
    my $stem = $plugin =~ s/-/[-_]/gr;
    my ($own) = grep { m{/$stem\.t$} } keys %files;
    my ($section) = $doc =~ /^## \Q$plugin\E\n(.*?)(?=^## |\z)/ms;
    my @fields = grep { $_ ne 'setting' } $section =~ /^\| ([\w.\[\]*-]+) \|/mg;
    my $text = join('', grep { head($_) =~ /(?<![\w-])\Q$plugin\E(?![\w-])/ }
                        values %files);

    ok(defined $own, "$plugin: a test of its own");

    my @missing = grep {
        my ($name) = /([\w-]+)$/;

        $text !~ /(?<![\w-])\Q$name\E(?![\w-])/;
    } @fields;

    is("@missing", '', "$plugin: " . scalar(@fields) . ' fields');
}

finish();


# the comment that a file begins with
sub head
{
    return $_[0] =~ /^((?:#.*\n)+)/ ? $1 : '';
}
