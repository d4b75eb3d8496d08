# Rate limits with the policy cluster: three nodes count in Kong's tables of
# one real PostgreSQL.  The sum is never more than the limit and what passes
# within an interval; no request waits for the database, whatever happens to
# it; what was counted meanwhile is not lost.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongPg;
use KongTest;
use Test::More;

pg_skip();

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $NONE = '00000000-0000-0000-0000-000000000000';
my %route;
my $upstream = echo_start();
my $pg = pg_new();

# the third has a small zone, so that it can be filled
my @nodes = map {
    node_new(env => { $pg->env, KONG_KONG_ZONE_SIZE => $_ })
} '16m', '16m', '512k';

my ($rc, $out, $err) = $nodes[0]->kong('migrations', 'bootstrap');
is($rc, 0, 'bootstrap') or diag("$out$err");

# what is over long since: a row of each kind, and one that is not
$pg->query("INSERT INTO ratelimiting_metrics (identifier, period, "
           . "period_date, value, ttl) VALUES ('old', 'second', "
           . "now() - interval '1 hour', 1, now() - interval '1 hour')");
$pg->query("INSERT INTO response_ratelimiting_metrics (identifier, period, "
           . "period_date, value) VALUES ('old', 'a_second', now() "
           . "- interval '1 hour', 1), ('old', 'a_day', now() "
           . "- interval '1 hour', 1)");

# --- the configuration

sub limited
{
    my ($name, %config) = @_;

    $route{$name} = sprintf('22222222-2222-4222-8222-%012d',
                            1 + keys %route);

    return {
        name => $name, id => $route{$name}, paths => ["/$name"],
        strip_path => $false, plugins => [ {
            name => exists $config{limits} ? 'response-ratelimiting'
                                           : 'rate-limiting',
            config => { policy => 'cluster', limit_by => 'ip', %config } } ]
    };
}

my $file = spit(temp_dir() . '/kong.json', json_encode({
    _format_version => '3.0', services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream", routes => [
            limited('day', hour => 20, day => 120),
            limited('shared', day => 150),
            limited('strict', day => 1000, fault_tolerant => $false),
            limited('who', day => 5, limit_by => 'header',
                    header_name => 'x-who'),
            limited('kept', day => 40),
            limited('many', day => 2, limit_by => 'header',
                    header_name => 'x-who'),
            limited('answers', limits => { sms => { hour => 5, day => 9 } }),
        ] } ] }));

($rc, $out, $err) = $nodes[0]->kong('config', 'db_import', $file);
is($rc, 0, 'plugins with the policy cluster') or diag("$out$err");

is(($_->start)[0], 0, "node $_->{n} starts") for @nodes;
my ($one, $two, $three) = @nodes;

for my $node (@nodes) {
    ok(wait_until(20, sub {
        $node->get('/answers')->status == 200
    }), "node $node->{n} has it all");
}

sub rows
{
    my ($where, $table) = @_;

    return $pg->query('SELECT identifier, period, '
        . "extract(epoch FROM period_date)::bigint, service_id, route_id, "
        . 'value FROM ' . ($table || 'ratelimiting_metrics')
        . " WHERE $where ORDER BY 1, 2");
}

sub value_is
{
    my ($where, $value, $name) = @_;
    my $is;

    ok(wait_until(10, sub {
        $is = $pg->query('SELECT coalesce(sum(value), 0) FROM '
                         . "ratelimiting_metrics WHERE $where");
        $is == $value;
    }), $name) or diag("$is: " . rows($where));
}

# --- Kong's rows

my $answer = $one->get('/day');
is($answer->status, 200, 'the first passes');
is($answer->header('x-ratelimit-remaining-day'), 119, 'counted at once');
$one->get('/day') for 1 .. 4;

my ($day, $hour) = map { int(time() / $_) * $_ } 86400, 3600;
value_is("route_id = '$route{day}'", 10, 'both periods are in the database');
is(rows("route_id = '$route{day}'"),
   "127.0.0.1|day|$day|$NONE|$route{day}|5\n127.0.0.1|hour|$hour|$NONE|$route{day}|5",
   'in Kong\'s rows');
is($pg->query('SELECT bool_and(ttl >= period_date + (\'1 \' || '
              . "period)::interval) FROM ratelimiting_metrics"), 't',
   'which live as long as their windows');
is($pg->query("SELECT count(*) FROM ratelimiting_metrics WHERE "
              . "identifier = 'old'"), 0, 'what is over is gone');
ok(wait_until(5, sub {
    rows("identifier = 'old'", 'response_ratelimiting_metrics') =~ /^old\|a_day/
}), 'of both tables');

# another node, and a Kong
$two->get('/day');
ok(wait_until(5, sub {
    my $left = $two->get('/day')->header('x-ratelimit-remaining-day');
    $left < 114;
}), 'another node learns of it');

$pg->query("UPDATE ratelimiting_metrics SET value = value + 100 "
           . "WHERE route_id = '$route{day}' AND period = 'hour'");
ok(wait_until(5, sub { $two->get('/day')->status == 429 }),
   'and of what a Kong counts');
is($two->get('/day')->json->{message}, 'API rate limit exceeded', 'refused');

# --- who

for my $who ("\xc3\xa9'\"\\{},", 'x' x 3000, "\xff", '-', 'NULL', 'a b') {
    $one->get('/who', headers => { 'X-Who' => $who }) for 1 .. 2;
}

value_is("identifier = E'\\u00e9''\"\\\\{},'", 2, 'any text');
value_is("identifier ~ '^sha256:[0-9a-f]{64}\$'", 4, 'long ones, and bytes');
value_is("identifier IN ('-', 'NULL', 'a b')", 6, 'words');

$pg->query("UPDATE ratelimiting_metrics SET value = 2147483647 "
           . "WHERE identifier = 'a b'");
$one->get('/who', headers => { 'X-Who' => 'a b' });
ok(wait_until(5, sub {
    $one->get('/who', headers => { 'X-Who' => 'a b' })->status == 429
}), 'the largest number that there is');
value_is("identifier = 'a b'", 2147483647, 'stays');

# more callers than a batch has room for
my $c = KongHttp->connect($one->{proxy});
$c->send(join('', map { "HEAD /many HTTP/1.1\r\nHost: a\r\nX-Who: m$_\r\n\r\n" }
              1 .. 350));
is(scalar(grep { $c->answer('HEAD')->status == 200 } 1 .. 350), 350,
   'many callers');
value_is("identifier ~ '^m\\d+\$'", 350, 'all are counted');

# more than the zone has
for my $i (1 .. 8) {
    $c = KongHttp->connect($three->{proxy});
    $c->send(join('', map { "HEAD /many HTTP/1.1\r\nHost: a\r\n"
                            . "X-Who: f$i.$_\r\n\r\n" } 1 .. 200));
    is(scalar(grep { $c->answer('HEAD')->status == 200 } 1 .. 200), 200,
       'none is refused for want of room');
}

# --- three nodes, one limit

my @results;
my $begin = now();

for my $p (0 .. 8) {
    my $file = temp_dir() . "/shared$p";
    my $port = $nodes[$p % 3]{proxy};

    push @results, $file;
    spawn(sub {
        my $http = KongHttp->connect($port);
        my @times;

        # 10 a second each: 90 on all nodes
        for my $i (0 .. 59) {
            my $wait = $begin + $i / 10 - now();
            nap($wait) if $wait > 0;
            $http->send("GET /shared HTTP/1.1\r\nHost: a\r\n\r\n");
            my $status = $http->answer->status;
            push @times, now() if $status == 200;
            die "$status\n" if $status != 200 && $status != 429;
        }

        spit("$file.part", join("\n", @times));
        rename("$file.part", $file);
    });
}

ok(wait_until(60, sub { !grep { !-e $_ } @results }), 'three nodes');

my @times = sort { $a <=> $b } map { split(/\n/, slurp($_)) } @results;
my $n = @times;

cmp_ok($n, '>=', 150, "as many as the limit pass");

# the bound is 0.2 s; the rest is for a machine that has much else to do
my @late = grep { $_ > $times[149] + 1.5 } @times;
is(scalar @late, 0, 'and not many more: ' . ($n - 150) . ', the last '
   . int(($times[-1] - $times[149]) * 1000) . ' ms after');

value_is("route_id = '$route{shared}'", $n, 'each of them is counted, once');

# --- response-ratelimiting

sub used { return { 'X-Echo-Headers' => "X-Kong-Limit: $_[0]" } }

$one->get('/answers', headers => used('sms=3'));
ok(wait_until(5, sub {
    rows("identifier = '127.0.0.1'", 'response_ratelimiting_metrics')
        eq "127.0.0.1|sms_day|$day|$NONE|$route{answers}|3\n"
           . "127.0.0.1|sms_hour|$hour|$NONE|$route{answers}|3"
}), 'response-ratelimiting: Kong\'s rows')
    or diag(rows('true', 'response_ratelimiting_metrics'));

$two->get('/answers', headers => used('sms=1'));
ok(wait_until(5, sub {
    $two->get('/answers')->up('x-ratelimit-remaining-sms') == 1
}), 'another node knows');
is($two->get('/answers', headers => used('sms=1'))->status, 200, 'the last');
is($two->get('/answers', headers => used('sms=1'))->status, 429,
   'one too many');

# --- the database goes

is($one->get('/strict')->status, 200, 'up');
my $kept = $route{kept};
$one->get('/kept') for 1 .. 5;
value_is("route_id = '$kept'", 5, 'five are counted');

$pg->stop('KILL');

my $start = now();
is(join(' ', map { $one->get('/kept')->status } 1 .. 5),
   '200 200 200 200 200', 'down: passes');
cmp_ok(now() - $start, '<', 5, 'at once');
is($one->get('/kept')->header('x-ratelimit-remaining-day'), 29,
   'this node limits by what it knows');
$one->get('/strict');
ok(wait_until(15, sub { $one->get('/strict')->status == 500 }),
   'or not, without fault_tolerant');
is($one->get('/strict')->json->{message}, 'An unexpected error occurred',
   'in Kong\'s words');
is(scalar(() = $one->error_log =~ /the database does not count/g), 1,
   'one line in the log');

$pg->start;
value_is("route_id = '$kept'", 11, 'back: nothing is lost, nothing doubled');
ok(wait_until(15, sub { $one->get('/strict')->status == 200 }), 'it counts');

# --- it hangs

$pg->pause;
$start = now();
is(join(' ', map { $one->get('/kept')->status } 1 .. 5),
   '200 200 200 200 200', 'hanging: passes');
cmp_ok(now() - $start, '<', 5, 'at once');
ok(wait_until(30, sub { $one->get('/strict')->status == 500 }),
   'without fault_tolerant: 500');
$pg->resume;
ok(wait_until(30, sub { $one->get('/strict')->status == 200 }), 'it counts');

# a statement that hung may have been written all the same
my $sum;
wait_until(10, sub {
    $sum = $pg->query('SELECT value FROM ratelimiting_metrics '
                      . "WHERE route_id = '$kept'");
    $sum >= 16;
});
cmp_ok($sum, '>=', 16, 'nothing is lost');

# --- the daemon goes

my $daemon = $two->controld;
my $before = $pg->query('SELECT value FROM ratelimiting_metrics '
                        . "WHERE route_id = '$kept'");
kill('KILL', $daemon);
wait_until(5, sub { !alive($daemon) });
is(join(' ', map { $two->get('/kept')->status } 1 .. 3), '200 200 200',
   'no daemon: passes');
ok(wait_until(15, sub { $two->get('/strict')->status == 500 }),
   'or not, after a while');
is(($two->reload)[0], 0, 'the daemon is replaced');
ok(wait_until(20, sub {
    $pg->query('SELECT value FROM ratelimiting_metrics '
               . "WHERE route_id = '$kept'") >= $before + 3
}), 'nothing is lost');
ok(wait_until(15, sub { $two->get('/strict')->status == 200 }), 'it counts');

# --- the numbers are a node's over a restart of its workers

is($two->get('/kept')->status, 200, 'after the reload');
ok(wait_until(10, sub {
    my $now = $two->get('/kept');

    $now->status == 429 || $now->header('x-ratelimit-remaining-day') < 25;
}), 'the sum is known');

finish();
