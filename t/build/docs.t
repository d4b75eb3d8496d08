# docs/plugins.md is what the schema tables say, and the module has exactly
# the plugins that the tables call implemented.

use strict;
use warnings;

use KongTest;
use Test::More;

my $tool = build() . '/plugins_doc';

my ($rc, $out, $err) = run($tool);
is($rc, 0, 'the page can be made') or diag("$tool: $err");
ok($out eq slurp(top() . '/docs/plugins.md'),
   'docs/plugins.md is up to date (make docs)');

# name => runs, of the page's first table
my %runs = $out =~ /^\| \[([\w-]+)\]\(#[\w-]+\) \| -?\d+ \| (\w[\w ]*) \|$/mg;
my @tables = sort grep { $runs{$_} eq 'yes' } keys %runs;

# the entries that the registry names, by the file that defines them
my $registry = slurp(top()
                     . '/ngx_kong_module/plugins/ngx_kong_registry.c');
my ($list) = $registry =~ /ngx_kong_plugins\[\] = \{(.*?)\}/s;
my %listed = map { $_ => 1 } $list =~ /&(\w+)/g;
my @module;

for my $file (glob(top() . '/ngx_kong_module/plugins/*.c')) {
    my $text = slurp($file);

    while ($text =~ /^const ngx_kong_plugin_t\s+(\w+) = \{(.*?)^\};/msg) {
        my ($symbol, $body) = ($1, $2);
        my ($name) = $body =~ /\.name = ngx_string\("([^"]+)"\)/;

        # what stands in for plugins that cannot run is none of Kong's
        push @module, $name if delete $listed{$symbol} && $name ne 'closed';
    }
}

cmp_ok(scalar(@tables), '>', 0, 'some plugins run');
is(join(' ', sort @module), join(' ', @tables),
   'the module has the plugins that the tables call implemented');
is(join(' ', keys %listed), '', 'every entry of the registry is defined');

done_testing();
