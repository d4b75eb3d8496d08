# What proxy-cache keeps is removed on every node of a database, whichever of
# them is asked: one entry by its key, or all; and a database that is gone
# keeps no node from doing it for itself.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongPg;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my $upstream = echo_start();
my @nodes = map { node_new(env => { $pg->env }) } 1 .. 3;

is(($nodes[0]->kong('migrations', 'bootstrap'))[0], 0, 'the tables');
is(($_->start)[0], 0, "node $_->{n} starts") for @nodes;

sub post
{
    my ($path, $body) = @_;
    my $a = $nodes[0]->admin("$path?wait=true", method => 'POST',
        headers => { 'Content-Type' => 'application/json' },
        body => json_encode($body));

    is($a->status, 201, "POST $path") or diag($a->body);
}

post('/services', { name => 's', url => "http://127.0.0.1:$upstream" });
post('/services/s/routes', { name => 'r', paths => ['/r'] });
post('/services/s/plugins', { name => 'proxy-cache', config => {
    strategy => 'memory', content_type => ['application/json'],
    cache_ttl => 3600 } });

sub state
{
    my ($node, $path) = @_;

    return $node->get($path)->header('x-cache-status') || '';
}

# both paths are kept on all of them
sub fill
{
    my ($name) = @_;

    for my $node (@nodes) {
        for my $path ('/r/a', '/r/b') {
            ok(wait_until(20, sub { state($node, $path) eq 'Hit' }),
               "$name: $path is kept on node $node->{n}");
        }
    }
}

sub gone
{
    my ($path, $name) = @_;
    my $missing = 0;

    # who looks fills it again: each node is asked until it had nothing
    for my $node (@nodes) {
        my $key = key($path);

        $missing++ if wait_until(10, sub {
            $node->admin("/proxy-cache/$key")->status == 404;
        });
    }

    is($missing, 3, $name);
}

my %keys;

sub key
{
    my ($path) = @_;

    return $keys{$path} ||= $nodes[0]->get($path)->header('x-cache-key');
}

fill('filled');
key($_) for '/r/a', '/r/b';

my $a = $nodes[1]->admin('/proxy-cache/' . key('/r/a'), method => 'DELETE');
is($a->status, 204, 'one entry on the second node');
gone('/r/a', 'it is gone on all of them');
is(state($_, '/r/b'), 'Hit', "the other is there on node $_->{n}") for @nodes;

# by a node that does not keep it itself

is($nodes[2]->admin('/proxy-cache/' . key('/r/a'), method => 'DELETE')
   ->status, 404, 'one that is not on the third node');

fill('again');
my ($plugin) = @{ $nodes[0]->admin('/plugins')->json->{data} };
is($nodes[2]->admin("/proxy-cache/$plugin->{id}/caches/" . uc(key('/r/b')),
                    method => 'DELETE')->status, 204, 'by its plugin');
gone('/r/b', 'gone on all of them');

fill('once more');
is($nodes[0]->admin('/proxy-cache', method => 'DELETE')->status, 204, 'all');
gone($_, "$_ is gone on all of them") for '/r/a', '/r/b';

# what anybody may send is no key

fill('for the last time');
$pg->query("SELECT pg_notify('kong_changes', 'purge $_')")
    for '', 'x', 'all&x=1', '%61ll', 'g' x 64, key('/r/a') . '0',
        key('/r/a') . ' ', 'all ';
$pg->query("SELECT pg_notify('kong_changes', 'purge " . key('/r/a') . "')");
gone('/r/a', 'a notification of our own');
is(state($_, '/r/b'), 'Hit', "nonsense removes nothing on node $_->{n}")
    for @nodes;

# without the database

$pg->stop;
is($nodes[1]->admin('/proxy-cache', method => 'DELETE')->status, 204,
   'without the database');
is($nodes[1]->admin('/proxy-cache/' . key('/r/b'))->status, 404,
   'it is gone here');
is(state($nodes[0], '/r/b'), 'Hit', 'the others cannot know');
ok(wait_until(20, sub {
    $nodes[1]->error_log =~ /the other nodes keep what proxy-cache has remo/;
}), 'which the log says');

finish();
