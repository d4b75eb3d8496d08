# Everything that needs no running node: version, help, check, config parse,
# config init, vault, and the form of errors.

use strict;
use warnings;

use KongNode;
use KongTest;
use Test::More;

my $node = node_new();
my $dir = temp_dir('files');
my $more = 'Run with --v (verbose) or --vv (debug) for more details';
my $tail = qr/\n\n  \Q$more\E\n\z/;

my ($rc, $out, $err) = $node->kong('version');
is($rc, 0, 'version');
like($out, qr/^3\.\d+\.\d+\n\z/, 'is printed');
($rc, $out) = $node->kong('version', '-a');
is($rc, 0, 'version -a');
like($out, qr/^Kong: 3\.\d+\.\d+$/m, 'ours');
like($out, qr/^nginx: 1\.\d+\.\d+$/m, 'nginx\'s');

($rc, $out, $err) = $node->kong();
like($out . $err, qr/^Usage: kong COMMAND \[OPTIONS\]/m, 'help');
($rc, $out, $err) = $node->kong('--help');
is($rc, 0, '--help');
for my $command (qw(check config health prepare quit reload restart start stop
                    version))
{
    like($out . $err, qr/^ *$command\b/m, "help names $command");
}

($rc, $out, $err) = $node->kong('nosuch');
is($rc, 1, 'an unknown command');
like($out . $err, qr/No such command: nosuch/, 'says so');

# check
sub conf
{
    my ($text) = @_;

    return spit("$dir/kong.conf", $text);
}

my $p = "$dir/prefix";
my $good = conf("prefix = $p\ndatabase = off # DB-less\n"
                . "proxy_listen = 127.0.0.1:9999\n");
($rc, $out, $err) = $node->kong('check', $good);
is($rc, 0, 'check') or diag($err);
is($out, "configuration at $good is valid\n", 'says so');

# the environment of the node must not repair the file
my $bare = { env => { map { $_ => undef } keys %{ $node->{env} } } };
my $kong = build() . '/kong';
my %sanitizer = map { $_ => $node->{env}{$_} }
                grep { !/^KONG_/ } keys %{ $node->{env} };
$bare->{env}{$_} = $sanitizer{$_} for keys %sanitizer;

for my $case (
    [ "database = mysql\n", qr/database has an invalid value: 'mysql'/ ],
    [ "database = cassandra\n",
      qr/Cassandra as a datastore for Kong is not supported/ ],
    [ "pg_port = x\n", qr/pg_port is not a number: 'x'/ ],
    [ "log_level = loud\n", qr/log_level has an invalid value: 'loud'/ ],
    [ "proxy_listen = nonsense here\n", qr/proxy_listen/ ],
    [ "headers = X-Nope\n", qr/headers/ ],
    [ "trusted_ips = 300.1.1.1\n", qr/trusted_ips/ ],
    [ "ssl_cert = /no/such.pem\nssl_cert_key = /no/such.key\n",
      qr{ssl_cert: .*/no/such\.pem} ],
) {
    my ($text, $says) = @$case;

    ($rc, $out, $err) = run($bare, $kong, 'check',
                            conf("prefix = $p\n$text"));
    is($rc, 1, 'check: ' . $text =~ s/\n.*//sr);
    like($out . $err, $says, 'says what');
}

# several problems, all of them
($rc, $out, $err) = run($bare, $kong, 'check',
    conf("prefix = $p\npg_port = x\ndatabase = mysql\n"));
like($out . $err, qr/pg_port/, 'the first of two problems');
like($out . $err, qr/mysql/, 'and the second');

($rc, $out, $err) = $node->kong('start', '-c', "$dir/none.conf", '-p', $p);
is($rc, 1, 'a file that is not there');
like($err, qr/^Error: no file at: \Q$dir\E\/none\.conf$tail/, 'says so');

# the environment wins over the file
($rc, $out, $err) = run({ env => { %{ $bare->{env} },
                                   KONG_PG_PORT => 'y' } },
                        $kong, 'check', conf("prefix = $p\npg_port = 1\n"));
is($rc, 1, 'a bad environment');
like($out . $err, qr/pg_port is not a number: 'y'/, 'wins over a good file');

# config parse
my %file = (
    'good.yml' => [ "_format_version: \"3.0\"\n", 0 ],
    'good.json' => [ '{"_format_version":"3.0"}', 0 ],
    'old.yaml' => [ "_format_version: \"1.1\"\nservices:\n- name: a\n"
                    . "  url: http://a.b/c\n  routes:\n"
                    . "  - paths: [/x, /y/\\d+]\n", 0 ],
    'crlf.yml' => [ "_format_version: \"2.1\"\r\nservices: []\r\n", 0 ],
    'number.yml' => [ "_format_version: 3.0\n", 1, qr/expected a string/ ],
    'type.txt' => [ "_format_version: \"3.0\"\n", 1, qr/unknown file type/ ],
    'broken.yml' => [ "a: [\n", 1, qr/failed parsing declarative/ ],
    'scalar.yml' => [ "hello\n", 1, qr/expected an object/ ],
    'empty.yml' => [ '', 1, qr/expected an object/ ],
    'field.yml' => [ "_format_version: \"3.0\"\nservices:\n- name: a\n"
                     . "  hots: b\n", 1, qr/unknown field/ ],
    'tabs.yml' => [ "_format_version: \"3.0\"\nservices:\n\t- a\n", 1,
                    qr/failed parsing declarative/ ],
);

for my $name (sort keys %file) {
    my ($text, $code, $says) = @{ $file{$name} };

    spit("$dir/$name", $text);
    ($rc, $out, $err) = $node->kong('config', 'parse', "$dir/$name", '-p',
                                    $p);
    is($rc, $code, "config parse $name") or diag($out . $err);

    if ($code == 0) {
        is($out, "parse successful\n", 'says so');

    } else {
        like($err, qr/^Error: Failed parsing:\n/, 'failed');
        like($err, $says, 'says why');
        like($err, $tail, 'and how to learn more');
    }
}

# every error, with its line
spit("$dir/many.yml", <<'END');
_format_version: "3.0"
services:
- name: good
  url: http://a.b
- name: bad
  host: x
  port: 70000
  routes:
  - name: r
    paths:
    - nope
plugins:
- name: no-such-plugin
END
($rc, $out, $err) = $node->kong('config', 'parse', "$dir/many.yml");
is($rc, 1, 'several errors');
like($err, qr/in entry 2 of 'services'/, 'the entry');
like($err, qr/in 'port': value should be between 0 and 65535 \(line 7\)/,
     'the port and its line');
my $text = 'should start with: / (fixed path) or ~/ (regex path)';
like($err, qr/\Q$text\E.*\(line 11\)/, 'the path and its line');
like($err, qr/plugin 'no-such-plugin' not enabled.*\(line 13\)/,
     'the plugin and its line');

($rc, $out, $err) = $node->kong('config', 'parse', "$dir/none.yml");
is($rc, 1, 'config parse of no file');

# what config init writes, config parse takes
($rc, $out, $err) = $node->kong('config', 'init', "$dir/init.yml");
is($rc, 0, 'config init') or diag($err);
ok(-s "$dir/init.yml", 'writes a file');
($rc, $out, $err) = $node->kong('config', 'parse', "$dir/init.yml");
is($rc, 0, 'which is good') or diag($err);

# our own sample too
($rc, $out, $err) = $node->kong('config', 'parse', top() . '/config/kong.yml');
is($rc, 0, 'config/kong.yml is good') or diag($err);

finish();
