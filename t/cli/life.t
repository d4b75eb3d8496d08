# start, health, reload, restart, quit, stop, prepare: outputs, exit codes,
# what is in the prefix, and what is refused.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();

my $more = 'Run with --v (verbose) or --vv (debug) for more details';
my $error_tail = qr/\n\n  \Q$more\E\n\z/;

my $node = node_new(config => echo_yaml($upstream, 'one'));
my $p = $node->{prefix};

sub mode { return sprintf('%04o', (stat("$p/$_[0]"))[2] & 07777) }

# before there is anything
my ($rc, $out, $err) = $node->kong('stop', '-p', $p);
is($rc, 1, 'stop without a prefix');
like($err, qr/^Error: no such prefix: \Q$p\E$error_tail/, 'says so');

($rc, $out, $err) = $node->kong('health', '-p', $p);
is($rc, 1, 'health without a prefix');

# start
($rc, $out, $err) = $node->start;
is($rc, 0, 'start') or diag($err . $node->logs);
like($out, qr/^Kong started$/m, 'says so');
is($node->get('/x/y')->up_uri, '/one/y', 'it serves with the answer');

for my $file (qw(nginx.conf nginx-kong.conf .kong_env kong.id pids/nginx.pid
                 pids/controld.pid logs/error.log logs/access.log
                 logs/admin_access.log snapshots/current))
{
    ok(-e "$p/$file", "$file is there");
}

is(mode('sockets/control.sock'), '0600', 'the control socket is private');
is(mode('.kong_env'), '0640', 'mode of .kong_env');
is((stat("$p/snapshots"))[2] & 07, 0, 'snapshots are nobody else\'s');
is((stat($_))[2] & 07, 0, "$_ too") for glob("$p/snapshots/*");
like(slurp("$p/kong.id"), qr/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\s*$/,
     'the id');
like($node->access_log, qr{"GET /x/y HTTP/1\.1" 200 }, 'the access log');

# again
($rc, $out, $err) = $node->kong('start', '-p', $p);
is($rc, 1, 'start again');
like($err, qr/^Error: Kong is already running in \Q$p\E$error_tail/,
     'says so');

# health
($rc, $out, $err) = $node->kong('health', '-p', $p);
is($rc, 0, 'health');
like($out, qr/^nginx\.+running\n(?:.*\n)*\nKong is healthy at \Q$p\E\n\z/m,
     'says so');

# reload takes the file anew, and settings
my $id = slurp("$p/kong.id");
$node->write_config(echo_yaml($upstream, 'two'));
($rc, $out) = $node->reload;
is($rc, 0, 'reload');
like($out, qr/^Kong reloaded$/m, 'says so');
ok(wait_until(10, sub { ($node->get('/x')->up_uri || '') eq '/two' }),
   'the file is read');

# restart
my $master = $node->master;
$node->write_config(echo_yaml($upstream, 'three'));
($rc, $out, $err) = $node->kong('restart', '-p', $p);
is($rc, 0, 'restart') or diag($err);
like($out, qr/^Kong started$/m, 'says so');
$node->note_processes;
is($node->wait_status('/x', 200)->up_uri, '/three', 'it serves');
isnt($node->master, $master, 'another nginx');
is(slurp("$p/kong.id"), $id, 'the same node');

# stop
($rc, $out, $err) = $node->kong('stop', '-p', $p);
is($rc, 0, 'stop');
like($out, qr/^Kong stopped$/m, 'says so');
ok($node->wait_gone, 'all is gone');
ok(!-e "$p/pids/nginx.pid", 'no pid file');

($rc, $out, $err) = $node->kong('stop', '-p', $p);
is($rc, 1, 'stop again');
like($err, qr/^Error: nginx not running in prefix: \Q$p\E$error_tail/,
     'says so');
($rc, $out, $err) = $node->kong('reload', '-p', $p);
is($rc, 1, 'reload of nothing');
like($err, qr/^Error: nginx not running in prefix: \Q$p\E$error_tail/,
     'says so');
($rc, $out, $err) = $node->kong('health', '-p', $p);
is($rc, 1, 'health of nothing');
like($err, qr/Kong is not running at \Q$p\E/, 'says so');

# quit lets a request end
($rc) = $node->start;
is($rc, 0, 'start once more');
my $answer = temp_dir() . '/slow';
my $client = spawn(sub {
    my $a = $node->get('/x/slow', headers => { 'X-Echo-Delay' => 1500 });
    spit($answer, $a->status);
});
nap(0.5);
($rc, $out) = $node->kong('quit', '-p', $p);
is($rc, 0, 'quit');
like($out, qr/^Kong stopped \(gracefully\)$/m, 'says so');
ok($node->wait_gone, 'all is gone');
ok(wait_until(5, sub { -e $answer }), 'the client had its answer');
is(slurp($answer) || '', 200, 'a good one');

# prepare fills a prefix that nginx can run
my $dir = temp_dir() . '/prepared';
$node->{prefix} = $dir;
($rc, $out, $err) = $node->kong('prepare', '-p', $dir);
is($rc, 0, 'prepare') or diag($err);
($rc, $out, $err) = run({ env => $node->{env} }, nginx_bin(), '-p', $dir,
                        '-c', 'nginx.conf');
is($rc, 0, 'nginx runs on it') or diag($err);
$node->{started} = 1;
is($node->wait_status('/x/y', 200)->up_uri, '/three/y', 'and serves');
kill('TERM', $node->master);
ok($node->wait_gone, 'nginx stops');

# a bad file: nothing starts, every error is told
$node->{prefix} = $p;
$node->write_config(<<'END');
_format_version: "3.0"
services:
- name: a
  port: 99999
  host: 127.0.0.1
- name: b
nope: 1
END
($rc, $out, $err) = $node->start;
is($rc, 1, 'start with a bad file');
like($err, qr/error parsing declarative config file \Q$node->{file}\E/,
     'which file');
like($err, qr/in 'services':/, 'where');
like($err, qr/value should be between 0 and 65535/, 'the first error');
like($err, qr/required field missing/, 'the second');
like($err, qr/unknown field/, 'the third');
like($err, qr/\(line \d+\)/, 'with lines');
is(scalar(my @left = $node->running), 0, 'nothing runs');

# a port that somebody has
my $taken = node_new(config => echo_yaml($upstream, 'x'),
                     env => { KONG_PROXY_LISTEN => "127.0.0.1:$upstream" },
                     allow => qr/bind\(\) to|still could not bind/);
($rc, $out, $err) = $taken->start;
is($rc, 1, 'start on a taken port');
like($err, qr/Address already in use/, 'says so');
is(scalar(@left = $taken->running), 0, 'nothing runs');

finish();
