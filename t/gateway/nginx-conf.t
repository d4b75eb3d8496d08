# config/nginx.conf, for those who write their own: with its paths and ports
# replaced, stock nginx runs it and it serves what the snapshots say.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $sample = top() . '/config/nginx.conf';
my $text = slurp($sample);
ok(defined $text, 'the sample is there') or do { finish(); exit };

like($text, qr/^\s*load_module\s/m, 'it loads the module');

# what a node needs besides: its snapshots, made by kong prepare
my $upstream = echo_start();
my $node = node_new(config => {
    _format_version => '3.0',
    services => [ {
        name => 's', url => "http://127.0.0.1:$upstream",
        routes => [ { name => 'r', paths => ['/x'] } ]
    } ]
});
my ($rc, $out, $err) = $node->kong('prepare', '-p', $node->{prefix});
is($rc, 0, 'kong prepare') or diag($err);

my %port = (8000 => $node->{proxy}, 8001 => $node->{admin});

$text =~ s{^(\s*load_module\s+)\S+;}{$1@{[ build() ]}/ngx_http_kong_module.so;}m;
$text =~ s{127\.0\.0\.1:(8000|8001)\b}{127.0.0.1:$port{$1}}g;
spit("$node->{prefix}/own.conf", $text);

for my $dir (qw(pids logs tmp sockets snapshots)) {
    mkdir("$node->{prefix}/$dir");
}

# relative unix sockets are relative to nginx's own folder
($rc, $out, $err) = run({ env => $node->{env}, dir => $node->{prefix} },
                        nginx_bin(), '-p', $node->{prefix}, '-c', 'own.conf');
is($rc, 0, 'nginx starts on it') or diag($err);
$node->{started} = 1;

is($node->wait_status('/x/y', 200)->up_uri, '/y', 'it proxies');
is($node->get('/none')->json->{message}, 'no Route matched with those values',
   'errors are ours');
is($node->admin('/status')->status, 200, '/status');

# the daemon beside it
my $daemon = spawn({ %{ $node->{env} }, STDOUT => temp_dir() . '/controld' },
                   build() . '/kong', 'controld', '-p', $node->{prefix});
ok(wait_until(10, sub { $node->admin('/')->status == 200 }),
   'the daemon beside it') or diag(slurp(temp_dir() . '/controld'));
is($node->post_config({ _format_version => '3.0' })->status, 201,
   'a configuration is published');
is($node->get('/x/y')->status, 404, 'and live');
kill_pid($daemon);

# every directive that the module knows is documented
my $docs = slurp(top() . '/docs/directives.md') || '';
my %directive;

for my $file (glob(top() . '/ngx_kong_module/*.c'),
              glob(top() . '/ngx_kong_module/*/*.c'))
{
    my $source = slurp($file);
    $directive{$1} = 1 while $source =~ /ngx_string\("(kong(?:_\w+)?)"\),\s*
                             (?:\n\s*)?NGX_/gx;
}

cmp_ok(scalar keys %directive, '>', 5, 'directives in the source');
like($docs, qr/\b$_\b/, "docs/directives.md: $_") for sort keys %directive;

kill('TERM', $node->master) if $node->master;
ok($node->wait_gone, 'it stops');

finish();
