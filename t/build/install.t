# make install DESTDIR= PREFIX=: what it installs serves traffic from there,
# and make uninstall takes all of it away.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my $dest = temp_dir('dest');
my @san = sanitized() ? ('SAN=1') : ();
my %env = (MAKEFLAGS => undef, MFLAGS => undef, MAKELEVEL => undef);
my @make = ('make', @san, "DESTDIR=$dest", 'PREFIX=/usr');

my ($rc, $out, $err) = run({ dir => top(), env => \%env, timeout => 300 },
                           @make, 'install');
is($rc, 0, 'make install') or diag($out . $err);

ok(-x "$dest/usr/bin/kong", 'kong');
is(readlink("$dest/usr/bin/controld"), 'kong', 'controld is kong');
ok(-f "$dest/usr/lib/kong/ngx_http_kong_module.so", 'the module');
ok(-f "$dest/usr/share/doc/kong/config/kong.yml", 'the samples');
ok(-f "$dest/usr/include/kong/plugins/ngx_kong_plugin.h",
   'the headers for plugins of others');

# from another place, without the build tree's help
my $upstream = echo_start();
my $node = node_new(config => {
    _format_version => '3.0',
    services => [ {
        name => 's', url => "http://127.0.0.1:$upstream",
        routes => [ { name => 'r', paths => ['/r'] } ]
    } ]
});

($rc, $out, $err) = run({ env => $node->{env}, dir => '/' },
                        "$dest/usr/bin/kong", 'start', '-p',
                        $node->{prefix});
is($rc, 0, 'the installed kong starts') or diag($out . $err . $node->logs);
$node->{started} = 1;

is($node->wait_status('/r/x', 200)->up_uri, '/x', 'and proxies');

my $maps = slurp('/proc/' . ($node->master || 0) . '/maps') || '';
like($maps, qr{\Q$dest\E/usr/lib/kong/ngx_http_kong_module\.so},
     'with the installed module');

ok($node->stop, 'it stops');

($rc, $out, $err) = run({ dir => top(), env => \%env }, @make, 'uninstall');
is($rc, 0, 'make uninstall') or diag($out . $err);

($rc, $out) = run('find', $dest, '!', '-type', 'd');
is($out, '', 'nothing is left');

finish();
