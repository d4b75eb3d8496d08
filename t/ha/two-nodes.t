# Two nodes on one machine from one checkout: they do not see each other, and
# the end of one is not the end of the other.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();

my $one = node_start(config => echo_config($upstream, 'one'));
my $two = node_start(config => echo_config($upstream, 'two'));

is($one->get('/x')->up_uri, '/one', 'the first');
is($two->get('/x')->up_uri, '/two', 'the second');

is($one->post_config(echo_config($upstream, 'three'))->status, 201,
   'a change of one');
is($one->get('/x')->up_uri, '/three', 'is live there');
is($two->get('/x')->up_uri, '/two', 'and only there');

isnt($one->admin('/')->json->{node_id}, $two->admin('/')->json->{node_id},
     'they have ids of their own');

my ($rc, undef, $err) = $one->kong('start', '-p', $one->{prefix});
is($rc, 1, 'a second start of one');
like($err, qr/^Error: Kong is already running in \Q$one->{prefix}\E$/m,
     'is refused');
is($one->get('/x')->up_uri, '/three', 'it runs on');

ok($one->stop, 'one stops');
is($one->get('/x')->status, 0, 'it is gone');
is($two->get('/x')->up_uri, '/two', 'two serves on');
is($two->admin('/')->status, 200, 'with its daemon');

# what was posted is kept when no file is set
delete $one->{env}{KONG_DECLARATIVE_CONFIG};
($rc, undef, $err) = $one->start;
is($rc, 0, 'one starts again, without a file') or diag($err);
is($one->wait_status('/x', 200)->up_uri, '/three', 'on what it had');

ok($two->stop('quit'), 'two quits gracefully');

finish();
