# The daemon killed, nginx killed and started alone from the prefix, workers
# killed: the same answers as before.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $node = node_start(workers => 2,
    allow => qr/worker process \d+ exited on signal 9/,
    hosts => "127.0.0.1 up.test\n",
    config => {
        _format_version => '3.0',
        services => [
            { name => 'a', url => "http://127.0.0.1:$upstream/a",
              routes => [ { name => 'a', paths => ['/a'] },
                          { name => 're', paths => ['~/v\d+/(x|y)$'] } ] },
            { name => 'named', url => "http://up.test:$upstream/n",
              routes => [ { name => 'n', hosts => ['*.n.test'] } ] },
        ]
    });

# status and path of some requests, as one text
sub answers
{
    return join("\n", map {
        my ($path, $host) = @$_;
        my $a = $node->get($path, host => $host);
        "$path " . $a->status . ' '
            . ($a->up_uri || ($a->json || {})->{message} || '')
    } [ '/a/1', 'x' ], [ '/v1/x', 'x' ], [ '/v1/z', 'x' ],
      [ '/q?1', 'w.n.test' ], [ '/none', 'x' ]);
}

my $before = answers();
like($before, qr{^/a/1 200 /a/1$}m, 'it serves');
like($before, qr{^/q\?1 200 /n/q\?1$}m, 'a name too');

# a worker
my ($victim) = $node->worker_pids;
kill('KILL', $victim);
ok(wait_until(5, sub {
    my @now = $node->worker_pids;
    @now == 2 && !grep { $_ == $victim } @now;
}), 'a killed worker is replaced');
is(answers(), $before, 'the same answers') for 1 .. 5;

# the daemon
my $daemon = $node->controld;
kill('KILL', $daemon);
ok(wait_until(5, sub { !alive($daemon) }), 'the daemon is killed');
is(answers(), $before, 'the same answers');

# a reload without it: new workers, the same generation
my @old = $node->worker_pids;
kill('HUP', $node->master);
ok(wait_until(10, sub {
    my @now = $node->worker_pids;
    my %old = map { $_ => 1 } @old;
    @now == 2 && !grep { $old{$_} } @now;
}), 'nginx reloads without the daemon');
is(answers(), $before, 'the same answers');

# nginx too, hard; then nginx alone, as its own command line starts it
$node->note_processes;
$node->kill_all;
is($node->get('/a')->status, 0, 'all dead');
unlink("$node->{prefix}/pids/nginx.pid");

my ($rc, $out, $err) = run({ env => $node->{env} }, nginx_bin(), '-p',
                           $node->{prefix}, '-c', 'nginx.conf');
is($rc, 0, 'nginx starts alone') or diag($out . $err);
$node->{started} = 1;
wait_until(10, sub { $node->get('/a/1')->status == 200 });
is(answers(), $before, 'the same answers');

my $s = $node->status;
is(ref $s, 'HASH', '/status answers');
like($s->{configuration_hash}, qr/^(?!0{32})[0-9a-f]{32}$/, 'with the hash');

kill('TERM', $node->master);
ok($node->wait_gone, 'nginx stops');

# and a start of the node on top of it all
($rc, $out, $err) = $node->start;
is($rc, 0, 'kong start after all that') or diag($out . $err . $node->logs);
is(answers(), $before, 'the same answers');

my $c = $node->post_config({ _format_version => '3.0' });
is($c->status, 201, 'and a new configuration is taken');
is($node->get('/a')->status, 404, 'and served');

finish();
