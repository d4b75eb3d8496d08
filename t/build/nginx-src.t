# The module built for another nginx source tree, run by that nginx.  Needs
# KONG_TEST_NGINX_SRC=DIR (1.22 up to nginx.org's mainline); the tree itself
# is not touched.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my $src = $ENV{KONG_TEST_NGINX_SRC}
    or plan_skip('KONG_TEST_NGINX_SRC names no nginx source tree');
my $before = join("\n", sort split(/\n/, `cd $src && find .`));
my $objs = temp_dir('nginx-src') . '/objs';
my $module = temp_dir('nginx-src') . '/ngx_http_kong_module.so';

my ($rc, $out, $err) = run({
    dir => top(), timeout => 600, env => { NGINX_BINARY => 1, SAN => '' }
}, 'scripts/build-module', $objs, $module, $src);

is($rc, 0, 'the module and nginx are built') or diag($out . $err);
is(join("\n", sort split(/\n/, `cd $src && find .`)), $before,
   'the tree is as before');

my $upstream = echo_start();
my $dir = temp_dir('other');

# a tree like the build tree's: kong beside the module
run('cp', build() . '/kong', $module, $dir);

my $node = node_new(
    config => {
        _format_version => '3.0',
        services => [ {
            name => 's', url => "http://127.0.0.1:$upstream",
            routes => [ { name => 'r', paths => ['/r'] } ]
        } ]
    },
    env => { KONG_NGINX_BIN => "$objs/nginx" }
);

($rc, $out, $err) = run({ env => $node->{env}, dir => '/' },
                        "$dir/kong", 'start', '-p', $node->{prefix});
is($rc, 0, 'kong starts that nginx') or diag($out . $err . $node->logs);
$node->{started} = 1;

my $version = (slurp("$src/src/core/nginx.h")
               =~ /^#define NGINX_VERSION\s+"(.*?)"/m)[0];

is(readlink('/proc/' . ($node->master || 0) . '/exe'), "$objs/nginx",
   "nginx $version runs");

for my $n (1 .. 20) {
    my $a = $node->wait_status("/r/$n", 200);
    is($a->up_uri, "/$n", "request $n") if $a->up_uri ne "/$n" || $n == 20;
}

is($node->get_ssl('/r/t')->up('x-forwarded-proto'), 'https', 'TLS');
is($node->post_config({ _format_version => '3.0' })->status, 201,
   'a configuration is published');
is($node->get('/r')->status, 404, 'and served');

finish();
