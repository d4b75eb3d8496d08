# Everything is killed a moment after a change was served, before the text of
# it is kept, and the database stays away: nothing is lost.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongPg;
use KongRows;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my $rows = rows_new($pg, upstream => echo_start());
my $node = node_start(env => { $pg->env });

$rows->insert('consumers', 'bob', username => "'bob'");
$rows->insert('keyauth_credentials', 'k', key => "'secret'",
              consumer_id => "'" . uuid_of('consumers bob') . "'");
$rows->plugin('auth', 'key-auth', on => ['services', 's'],
              config => '{"key_names": ["apikey"]}');
$rows->plugin('bad', 'third-party');
$rows->sql("DELETE FROM plugins WHERE name = 'third-party'");
$rows->route('late');
is($node->wait_status('/late', 401)->status, 401, 'a change is served');

$node->note_processes;
$node->kill_all;
$pg->stop('KILL');

my @texts = glob("$node->{prefix}/snapshots/*.source");
is("@texts", '', 'no text was kept yet');

my ($rc, $out, $err) = $node->start;
is($rc, 0, 'it starts without the database') or diag("$out$err");
is($node->get('/late')->status, 401, 'the change is there');
is($node->get('/late', headers => { apikey => 'secret' })->status, 200,
   'credentials and addresses, too');
is($node->status->{database}{reachable}, 0, 'the database is not');

# its daemon as well, once more
my $daemon = $node->controld;
kill('KILL', $daemon);
wait_until(5, sub { !alive($daemon) });
is(($node->reload)[0], 0, 'a reload');
is($node->get('/late', headers => { apikey => 'secret' })->status, 200,
   'it is served on');

$pg->start;
$rows->route('later');
is($node->wait_status('/later', 401, seconds => 8)->status, 401,
   'the database is back, changes come');
is($node->get('/late', headers => { apikey => 'secret' })->status, 200,
   'and nothing went');

finish();
