# The health of targets by the Admin API, with a file and with a database: how
# it is shown, and targets that are told to be healthy or not.

use strict;
use warnings;

use KongBalancer;
use KongEcho;
use KongNode;
use KongPg;
use KongTest;
use Test::More;

my @port = map { echo_start() } 1 .. 2;

my %upstreams = (
    'on.test' => {
        healthchecks => { threshold => 10, passive => { unhealthy => {
            http_failures => 2, http_statuses => [ 500 ] } } },
        host_header => 'other.test',
        targets => [ [ "127.0.0.1:$port[0]", 10 ],
                     [ "127.0.0.1:$port[1]", 30 ],
                     [ 'nowhere.invalid:80', 5 ] ],
    },
    'off.test' => { targets => [ [ "127.0.0.1:$port[0]" ],
                                 [ '[::1]:7' ] ] },
);

sub look
{
    my ($node, $path) = @_;
    my $r = $node->admin($path);

    return ($r->status, $r->json);
}

sub put
{
    my ($node, $path) = @_;
    my $r = $node->admin($path, method => 'PUT');

    return ($r->status, $r->body);
}

sub health_of
{
    my ($node, $name) = @_;
    my (undef, $body) = look($node, "/upstreams/$name/health");

    return { map { $_->{target} => $_->{health} } @{ $body->{data} } };
}

sub same
{
    my ($mode, $node) = @_;
    my ($first, $second) = map { "127.0.0.1:$_" } @port;
    my ($status, $body) = look($node, '/upstreams/on.test/health');

    is($status, 200, "$mode: health");
    like($body->{node_id}, qr/^[0-9a-f-]{36}$/, 'of this node');
    is($body->{next}, undef, 'one page');

    my %by = map { $_->{target} => $_ } @{ $body->{data} };
    is($by{$first}{health}, 'HEALTHY', 'at first');
    is($by{$first}{weight}, 10, 'with the target');
    is_deeply($by{$first}{data}, {
        host => '127.0.0.1', port => $port[0], dns => 'A', nodeWeight => 10,
        weight => { total => 10, available => 10, unavailable => 0 },
        addresses => [ { ip => '127.0.0.1', port => $port[0], weight => 10,
                         health => 'HEALTHY' } ],
    }, 'its data');
    is($by{'nowhere.invalid:80'}{health}, 'DNS_ERROR', 'a name of nobody');
    is_deeply($by{'nowhere.invalid:80'}{data}{addresses}, [],
              'has no address');

    my $off = health_of($node, 'off.test');
    is($off->{$first}, 'HEALTHCHECKS_OFF', 'without checks');
    is((values %$off)[0], (values %$off)[1], 'for IPv6 as well');

    # told by the target, its id, one of its addresses
    my ($is, $text) = put($node, "/upstreams/on.test/targets/$first/unhealthy");
    is($is, 204, 'told to be unhealthy') or diag($text);
    is(health_of($node, 'on.test')->{$first}, 'UNHEALTHY', 'it is');
    is(health_of($node, 'on.test')->{$second}, 'HEALTHY', 'no other is');

    ($status, $body) = look($node,
                            '/upstreams/on.test/health?balancer_health=1');
    is($body->{data}{health}, 'HEALTHY', 'enough are left');
    is($body->{data}{balancer_health}, 'HEALTHY', 'for the balancer');
    is_deeply($body->{data}{details}{weight},
              { total => 40, available => 30, unavailable => 10 }, 'weights');
    is(scalar @{ $body->{data}{details}{hosts} }, 3, 'all hosts');

    my %spread = balancer_spread($node, '/on.test', 6);
    is($spread{$port[0]}, undef, 'it gets nothing')
        or diag(join(' ', %spread));

    put($node, "/upstreams/on.test/targets/$by{$second}{id}/unhealthy");
    ($status, $body) = look($node,
                            '/upstreams/on.test/health?balancer_health=1');
    is($body->{data}{health}, 'UNHEALTHY', 'too few are left');
    is($node->get('/on.test')->status, 503, 'nobody answers');

    ($is) = put($node, "/upstreams/on.test/targets/$first/$first/healthy");
    is($is, 204, 'one address of it');
    is(health_of($node, 'on.test')->{$first}, 'HEALTHY', 'is back');
    is($node->get('/on.test')->status, 200, 'and answers');

    # what there is not
    is((put($node, "/upstreams/on.test/targets/$first/1.2.3.4:5/healthy"))[0],
       400, 'another address');
    is((put($node, '/upstreams/on.test/targets/1.2.3.4:5/healthy'))[0], 404,
       'another target');
    is((put($node, "/upstreams/none/targets/$first/healthy"))[0], 404,
       'another upstream');
    is((look($node, '/upstreams/none/health'))[0], 404, 'of none');

    ($is, $text) = put($node, "/upstreams/off.test/targets/$first/healthy");
    is($is, 400, 'without checks');
    is(json_decode($text)->{message}, 'no healthchecker found for off.test',
       'says so');
    is($node->admin("/upstreams/on.test/targets/$first/healthy",
                    method => 'POST')->status, 405, 'PUT alone');

    like(slurp("$node->{prefix}/logs/controld.log"),
         qr{audit: anonymous PUT /upstreams/on\.test/targets/\S+/healthy: 204},
         'the log');
}

my $config = balancer_config(%upstreams);

# a service with another Host would hide the port that answered
for my $u (@{ $config->{upstreams} }) {
    delete $u->{host_header};
}

same('file', node_start(workers => 2, config => $config));

SKIP: {
    my $pg = eval { pg_new() };
    skip('no PostgreSQL server here') if !$pg;

    my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
        build() . '/kong', 'migrations', 'bootstrap', '-q');
    is($rc, 0, 'bootstrapped') or diag($out . $err);

    my $node = node_start(env => { $pg->env }, workers => 2);

    ($rc, $out, $err) = run({ env => $node->{env}, timeout => 60 },
        build() . '/kong', 'config', 'db_import', spit(
            temp_dir('health') . '/kong.json', json_encode($config)));
    is($rc, 0, 'imported') or diag($out . $err);

    ok(wait_until(10, sub { $node->get('/on.test')->status == 200 }),
       'served');
    same('database', $node);
}

finish();
