# rate-limiting and response-ratelimiting, policy redis, against a real
# redis-server: Kong's keys, two nodes that share a limit exactly, passwords,
# databases, TLS; and servers that are down, stopped, slow or hostile.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongRedis;
use KongTest;
use Test::More;

redis_skip();

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $NONE = '00000000-0000-0000-0000-000000000000';
my $upstream = echo_start();
my $dir = temp_dir('cert');

my ($rc, undef, $err) = run('openssl', 'req', '-x509', '-newkey', 'rsa:2048',
    '-nodes', '-days', 2, '-subj', '/CN=redis.test', '-keyout',
    "$dir/key.pem", '-out', "$dir/cert.pem", '-addext',
    'subjectAltName=DNS:redis.test,IP:127.0.0.1');
is($rc, 0, 'a certificate') or diag($err);

my $redis = redis_new(cert => "$dir/cert.pem", key => "$dir/key.pem");
my $secret = redis_new(password => 's3 cret', users => [
    'bob on >pw ~* &* +@all', 'weak on >pw ~* &* +@read' ]);

# --- servers that do not behave

my %bad = (
    silent => redis_bad(sub { 1 }),
    closes => redis_bad(sub { 0 }),
    half => redis_bad(sub { syswrite($_[0], "*2\r\n:1\r\n"); 0 }),
    http => redis_bad(sub { syswrite($_[0], "HTTP/1.0 400 Bad\r\n\r\n"); 1 }),
    few => redis_bad(sub { syswrite($_[0], "*1\r\n:1\r\n"); 1 }),
    many => redis_bad(sub { syswrite($_[0], "*-1\r\n"); 1 }),
    text => redis_bad(sub { syswrite($_[0], "*2\r\n:1\r\n+one\r\n"); 1 }),
    huge => redis_bad(sub { syswrite($_[0], "*2\r\n\$99999999\r\n"); 1 }),
    nested => redis_bad(sub { syswrite($_[0], "*2\r\n*1\r\n:1\r\n:1\r\n"); 1 }),
    loading => redis_bad(sub { syswrite($_[0], "-LOADING \x01 it\r\n"); 1 }),
    # the answer to a command that was not sent yet
    inject => redis_bad(sub {
        syswrite($_[0], "+OK\r\n*2\r\n:1\r\n:0\r\n");
    }),
);

# --- servers that behave strangely, and are right

my %odd = (
    bytes => redis_bad(sub {
        for my $c (split(//, "*2\r\n:1\r\n\$1\r\n7\r\n")) {
            syswrite($_[0], $c);
            nap(0.01);
        }
        1;
    }),
    # only the first command of a connection is answered
    once => redis_bad(sub {
        my $first = !${*{$_[0]}}{seen}++;

        syswrite($_[0], "*2\r\n:1\r\n:0\r\n") if $first;
        $first;
    }),
);

sub limited
{
    my ($name, $config, @more) = @_;

    return {
        name => $name, paths => ["/$name"], strip_path => $false,
        plugins => [ { name => 'rate-limiting', config => {
            policy => 'redis', limit_by => 'service', day => 3,
            redis => { host => '127.0.0.1', port => $redis->{port},
                       timeout => 500, %{ delete $config->{redis} || {} } },
            %$config } }, @more ]
    };
}

sub flat
{
    my ($name, %config) = @_;

    return {
        name => $name, paths => ["/$name"], plugins => [
            { name => 'rate-limiting', config => {
                policy => 'redis', day => 2, %config } } ] };
}

sub answering
{
    my ($name, $config) = @_;

    return {
        name => $name, paths => ["/$name"], plugins => [
            { name => 'response-ratelimiting', config => {
                policy => 'redis', limit_by => 'ip',
                limits => { sms => { day => 5, hour => 4 },
                            mms => { day => 2 } },
                redis => { host => '127.0.0.1', port => $redis->{port},
                           timeout => 500,
                           %{ delete $config->{redis} || {} } },
                %$config } } ]
    };
}

sub at { return { redis => { port => $_[0] } } }

my $dead = free_port();
my $config = {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream",
        id => '11111111-1111-4111-8111-111111111111',
        routes => [
            { %{ limited('day', {}) },
              id => '22222222-2222-4222-8222-222222222222' },
            limited('two', { hour => 2, day => 5 }),
            limited('all', { second => 90, minute => 91, hour => 92,
                             day => 93, month => 94, year => 95.5 }),
            limited('hide', { hide_client_headers => $true,
                              error_code => 420, error_message => 'slow' }),
            limited('name', { redis => { host => 'Redis.Test' } }),
            limited('nobody', { redis => { host => 'nobody.test' } }),
            limited('db', { redis => { database => 3 } }),
            limited('dbless', { redis => { database => 9 } }),
            limited('tls', { redis => { port => $redis->{tls},
                                        ssl => $true } }),
            limited('untrusted', { fault_tolerant => $false, redis => {
                port => $redis->{tls}, ssl => $true, ssl_verify => $true,
                server_name => 'redis.test' } }),
            limited('nottls', { redis => { ssl => $true, timeout => 300 } }),
            limited('password', { redis => {
                port => $secret->{port}, password => 's3 cret' } }),
            limited('user', { redis => {
                port => $secret->{port}, username => 'bob',
                password => 'pw', database => 1 } }),
            limited('weak', { redis => {
                port => $secret->{port}, username => 'weak',
                password => 'pw' } }),
            limited('wrong', { redis => {
                port => $secret->{port}, password => 'wrong',
                database => 2 } }),
            limited('none', { fault_tolerant => $false, redis => {
                port => $secret->{port} } }),
            limited('dead', at($dead)),
            limited('strict', { fault_tolerant => $false,
                                %{ at($dead) } }),
            limited('kill', { day => 100 }),
            limited('killed', { day => 100, fault_tolerant => $false }),
            limited('shared', { day => 300 }),
            limited('sync', { day => 60, sync_rate => 0.1, hour => 55 }),
            limited('sync-killed', { day => undef, second => 900,
                                     sync_rate => 0.02,
                                     fault_tolerant => $false }),
            limited('sync-dead', { day => 60, sync_rate => 0.02,
                                   %{ at($dead) } }),
            limited('sync-strict', { day => 60, sync_rate => 0.02,
                                     fault_tolerant => $false,
                                     %{ at($dead) } }),
            limited('ip', { limit_by => 'ip' }),
            limited('header', { day => 1, limit_by => 'header',
                                header_name => 'X-Who' }),
            limited('path', { limit_by => 'path', path => '/path' }),
            limited('consumer', { day => 2, limit_by => 'consumer' },
                    { name => 'key-auth' }),
            limited('credential', { day => 2, limit_by => 'credential' },
                    { name => 'key-auth' }),
            flat('flat', redis_host => '127.0.0.1', redis_database => 2,
                 redis_port => $redis->{port}, redis_timeout => 1000),
            (map { limited("bad-$_", { fault_tolerant => $false,
                                       redis => { port => $bad{$_},
                                           $_ eq 'inject'
                                           ? (password => 'x') : () } }) }
             keys %bad),
            (map { limited("odd-$_", { %{ at($odd{$_}) }, day => 10 }) }
             keys %odd),
            answering('answers', {}),
            answering('first', { block_on_first_violation => $true }),
            answering('answers-dead', at($dead)),
            answering('answers-strict', { fault_tolerant => $false,
                                          %{ at($dead) } }),
        ]
    } ],
    consumers => [
        { username => 'a', id => '33333333-3333-4333-8333-333333333333',
          keyauth_credentials => [
            { key => 'a1', id => '44444444-4444-4444-8444-444444444444' },
            { key => 'a2' } ] },
    ],
};

my $hosts = "127.0.0.1 redis.test\n";
my $node = node_start(config => $config, hosts => $hosts);

sub codes
{
    my ($n, $path, %headers) = @_;

    return join(' ', map { $node->get($path, headers => \%headers)->status }
                1 .. $n);
}

# --- headers, and what is in Redis

my $day = int(time() / 86400) * 86400;
my $a = $node->get('/day');
is($a->status, 200, 'the first passes');
is($a->header('x-ratelimit-limit-day'), 3, 'the limit');
is($a->header('x-ratelimit-remaining-day'), 2, 'what is left after it');
is($a->header('ratelimit-remaining'), 2, 'RateLimit-Remaining');
cmp_ok(abs($a->header('ratelimit-reset') - (86400 - time() % 86400)), '<=',
       2, 'RateLimit-Reset');

# a plugin of a route: no service in its scope
my $prefix = "ratelimit:22222222-2222-4222-8222-222222222222:$NONE:";
my $key = "${prefix}11111111-1111-4111-8111-111111111111:${day}000:day";
is($redis->command('GET', $key), 1, 'counted under Kong\'s key')
    or diag(explain({ $redis->all }));
cmp_ok($redis->command('TTL', $key), '<=', 86405, 'which expires');
cmp_ok($redis->command('TTL', $key), '>=',
       $day + 86400 - time(), 'not before the day is over');

is(codes(3, '/day'), '200 200 429', 'exactly three');
$a = $node->get('/day', headers => { Accept => 'text/plain' });
is($a->status, 429, 'no more');
like($a->body, qr/^API rate limit exceeded\n/, 'the error body');
is($a->header('retry-after'), $a->header('ratelimit-reset'), 'Retry-After');
is($redis->command('GET', $key), 3, 'what is refused is not counted');

# what a Kong has counted counts
$redis->command('SET', $key, 1);
is(codes(3, '/day'), '200 200 429', 'another one\'s count is ours');

is(codes(3, '/two'), '200 200 429', 'the shorter limit refuses');
is($node->get('/two')->header('x-ratelimit-remaining-day'), 3,
   'and the longer one is not used up by it');

my $calls = $redis->calls('eval');
$a = $node->get('/all');
is($redis->calls('eval'), $calls + 1, 'six periods in one round trip');
is(join(' ', map { $a->header("x-ratelimit-remaining-$_") }
        qw(second minute hour day month year)), '89 90 91 92 93 94.5',
   'each its own');
is(scalar(grep { /:(?:second|minute|hour|day|month|year)$/ }
          grep { /^ratelimit:.*000:/ && !/:$day/ }
          @{ $redis->command('KEYS', '*') }) > 3, 1, 'each its own window');

is(codes(4, '/hide'), '200 200 200 420', 'hidden headers, own code');
$a = $node->get('/hide');
is(join(' ', grep { /ratelimit|retry/i } map { $_->[0] } @{ $a->headers }),
   '', 'nothing is told');
is($a->json->{message}, 'slow', 'own message');

# --- who

sub keys_of
{
    my ($db) = @_;
    my %all = $redis->all($db);

    return join("\n", sort keys %all);
}

is(codes(4, '/ip'), '200 200 200 429', 'by address');
like(keys_of(), qr/^ratelimit:[^:]+:$NONE:127\.0\.0\.1:\d+000:day$/m,
     'its key');
is(codes(2, '/header', 'X-Who' => 'me'), '200 429', 'by header');
like(keys_of(), qr/:me:\d+:day$/m, 'its key');
is(codes(2, '/header', 'X-Who' => "x" x 4000), '200 429', 'a long one');
like(keys_of(), qr/:sha256:[0-9a-f]{64}:\d+:day$/m, 'is a digest');
is(codes(2, '/header', 'X-Who' => "\xff\xfe"), '200 429', 'no text');
is(codes(2, '/header', 'X-Who' => "\xff\xfd"), '200 429', 'another');
is(codes(4, '/path'), '200 200 200 429', 'by path');
like(keys_of(), qr{:/path:\d+:day$}m, 'its key');
is(codes(3, '/consumer', apikey => 'a1'), '200 200 429', 'by consumer');
is(codes(1, '/consumer', apikey => 'a2'), '429', 'whatever the key');
like(keys_of(), qr/:33333333-3333-4333-8333-333333333333:\d+:day$/m,
     'its key');
is(codes(3, '/credential', apikey => 'a1'), '200 200 429', 'by credential');
is(codes(1, '/credential', apikey => 'a2'), '200', 'each its own');
like(keys_of(), qr/:44444444-4444-4444-8444-444444444444:\d+:day$/m,
     'its key');

# --- which server, and how

is($node->wait_status('/name', 429)->status, 429, 'a name is resolved');
is(codes(4, '/nobody'), '200 200 200 200', 'one that is no name: all pass');
is(codes(4, '/db'), '200 200 200 429', 'another database');
is(scalar(() = keys_of(3) =~ /ratelimit/g), 1, 'holds its counter alone');
is(codes(4, '/dbless'), '200 200 200 200', 'one that is not there');
is($node->get('/dbless')->header('ratelimit-limit'), undef, 'no headers');
is(codes(3, '/flat'), '200 200 429', 'the flat names of old');
is(scalar(() = keys_of(2) =~ /ratelimit/g), 1, 'database and all');

is(codes(4, '/tls'), '200 200 200 429', 'over TLS');
is(codes(1, '/untrusted'), '500', 'a certificate that nobody trusts');
is(codes(1, '/nottls'), '200', 'a server without TLS');
like($node->error_log, qr/certificate is not trusted/, 'is told');

is(codes(4, '/password'), '200 200 200 429', 'with a password');
is(codes(4, '/user'), '200 200 200 429', 'with a user and a database');
is(codes(2, '/weak'), '200 200', 'a user who may not');
is(codes(2, '/wrong'), '200 200', 'a wrong password: all pass');
is(codes(1, '/none'), '500', 'none, where one is needed');
unlike($node->error_log, qr/s3 cret/, 'no password in the log');

my $connections = $redis->command('INFO', 'stats')
                  =~ /total_connections_received:(\d+)/ ? $1 : 0;
$node->get('/kill') for 1 .. 50;
cmp_ok(($redis->command('INFO', 'stats')
        =~ /total_connections_received:(\d+)/)[0] - $connections, '<=', 6,
       'connections are kept');

# --- servers that do not behave: never an answer taken for what it is not

for my $name (sort keys %bad) {
    $a = $node->get("/bad-$name");
    is($a->status, 500, "$name: 500");
    is($a->json->{message}, 'An unexpected error occurred', "$name: so");
}

$a = $node->get('/odd-bytes');
is($a->header('x-ratelimit-remaining-day'), 2, 'an answer in pieces');
is(codes(5, '/odd-once'), '200 200 200 200 200', 'connections that are cut');

is($node->get('/odd-once')->header('x-ratelimit-remaining-day'), 9,
   'and made again');

# --- down

$a = $node->get('/dead');
is($a->status, 200, 'nobody there: fault_tolerant passes');
is($a->header('x-ratelimit-limit-day'), undef, 'without headers');
is($a->header('ratelimit-limit'), undef, 'all of them');

$a = $node->get('/strict');
is($a->status, 500, 'not fault_tolerant: 500');
is($a->json->{message}, 'An unexpected error occurred', 'in Kong\'s words');
is($node->get('/strict', headers => { Accept => 'text/plain' })->body
   =~ /^An unexpected error occurred\n/ ? 1 : 0, 1, 'as accepted');

is(codes(2, '/kill') . ' ' . codes(2, '/killed'), '200 200 200 200', 'up');
$redis->stop('KILL');
is(codes(2, '/kill'), '200 200', 'killed: passes');
is(codes(2, '/killed'), '500 500', 'or not');
ok(wait_until(5, sub { $node->get('/sync-killed')->status == 500 }),
   'nor with a sync_rate');
ok(wait_until(10, sub { $node->get('/sync-killed')->status == 200 }),
   'which is tried again when nothing is owed');
$redis->start;
is(codes(2, '/killed'), '200 200', 'back: counts');
is($node->wait_status('/sync-killed', 200)->status, 200, 'with one, too');
ok(wait_until(5, sub { codes(4, '/sync-killed') eq '200 200 200 200' }),
   'and goes on');
is($node->get('/killed')->header('x-ratelimit-remaining-day'), 97,
   'from nothing');

# both workers have connections: those are silent now
codes(4, '/killed');
$redis->pause;
my $start = now();
is(codes(1, '/kill'), '200', 'stopped: passes');
cmp_ok(now() - $start, '>', 0.4, 'after the timeout');
is(codes(1, '/killed'), '500', 'or not');

# a client that does not wait
my $c = KongHttp->connect($node->{proxy});
$c->send("GET /kill HTTP/1.1\r\nHost: a\r\n\r\n");
nap(0.05);
undef $c;

$redis->resume;
is($node->wait_status('/killed', 200)->status, 200, 'goes on: counts');

# --- two nodes, one limit

my $other = node_start(config => $config, hosts => $hosts);
my @results;

for my $p (1 .. 8) {
    my $file = temp_dir() . "/shared$p";
    my $port = ($node, $other)[$p % 2]{proxy};

    push @results, $file;
    spawn(sub {
        my @c = map { KongHttp->connect($port) } 1 .. 8;
        my %seen = (200 => 0, 429 => 0);

        while ($seen{429} < 40) {
            $_->send("GET /shared HTTP/1.1\r\nHost: a\r\n"
                     . "X-Echo-Size: 1\r\n\r\n") for @c;
            $seen{ $_->answer->status }++ for @c;
        }

        spit("$file.part", join("\n", map { "$_ $seen{$_}" } keys %seen));
        rename("$file.part", $file);
    });
}

wait_until(60, sub { !grep { !-e $_ } @results });

my %all;

for my $text (map { slurp($_) } @results) {
    $all{$1} += $2 while $text =~ /(\d+) (\d+)/g;
}

is($all{200}, 300, 'two nodes: exactly as many as the limit pass');
is(join(' ', sort keys %all), '200 429', 'nothing else is answered');

# --- a sync_rate: counted here, carried to Redis

$a = $node->get('/sync');
is($a->status, 200, 'passes');
is($a->header('x-ratelimit-remaining-day'), 59, 'counted here');
$calls = $redis->calls('eval');
$node->get('/sync') for 1 .. 9;

ok(wait_until(5, sub {
    my %now = $redis->all;
    grep { $now{$_} == 10 && /:hour$/ } keys %now;
}), 'Redis has it') or diag(explain({ $redis->all }));
cmp_ok($redis->calls('eval') - $calls, '<=', 8, 'in batches');
my ($hour) = grep { /:hour$/ && $redis->command('GET', $_) == 10 }
             keys %{ { $redis->all } };
cmp_ok($redis->command('TTL', $hour), '<=', 3605, 'which expires');

# what others have counted comes back with the next push
$redis->command('INCRBY', $hour, 30);
$node->get('/sync');
ok(wait_until(5, sub {
    my $left = $node->get('/sync')->header('x-ratelimit-remaining-hour');
    defined $left && $left < 14;
}), 'the sum comes back');

# the other node knows nothing of all that, until it has pushed once
my $begin = now();
my ($passed, $last) = (0, $begin);
while (now() - $last < 1 && now() - $begin < 10) {
    my $status = $other->get('/sync')->status;
    $last = now() if $status == 200;
    $passed++ if $status == 200;
    nap(0.01);
}

cmp_ok($last - $begin, '<', 3, "another node stops, after $passed");
cmp_ok($redis->command('GET', $hour), '>=', 55, 'at the limit');
is($node->wait_status('/sync', 429)->status, 429, 'and so does this one');

is(join(' ', map { $node->get('/sync-dead')->status } 1 .. 3), '200 200 200',
   'nobody there: this node counts');
ok(wait_until(5, sub { $node->get('/sync-strict')->status == 500 }),
   'or not');

# --- response-ratelimiting

sub used { return { 'X-Echo-Headers' => "X-Kong-Limit: $_[0]" } }

$a = $node->get('/answers', headers => used('sms=2, mms=1'));
is($a->status, 200, 'an answer that uses something up');
is($a->up('x-ratelimit-remaining-sms'), 4, 'the upstream is told');
is($a->header('x-ratelimit-remaining-sms-hour'), 2, 'what is left');
is($a->header('x-ratelimit-remaining-mms-day'), 1, 'of each');
is($a->header('x-kong-limit'), undef, 'the header is for us');

ok(wait_until(5, sub {
    keys_of() =~ /^(response-ratelimit:[^:]+:$NONE:127\.0\.0\.1:\d+000:sms:day)$/m
        && ($redis->command('GET', $1) || 0) == 2
}), 'counted after the request, under Kong\'s key') or diag(keys_of());

$a = $other->get('/answers', headers => used('sms=1.5'));
is($a->up('x-ratelimit-remaining-sms'), 2, 'another node knows');

ok(wait_until(5, sub {
    $node->get('/answers')->up('x-ratelimit-remaining-sms') == 0
}), 'a part counts as a whole one');

$a = $node->get('/answers', headers => used('sms=1'));
is($a->status, 429, 'nothing left: refused');
is($a->body, '', 'without a body');

$node->get('/first', headers => used('mms=2'));
ok(wait_until(5, sub { $other->get('/first')->status == 429 }),
   'block_on_first_violation, on another node');

$a = $node->get('/answers-dead', headers => used('sms=9'));
is($a->status, 200, 'nobody there: passes');
is($a->header('x-ratelimit-limit-sms-day'), undef, 'without headers');
is($a->header('x-kong-limit'), undef, 'nor that of the upstream');
is($node->get('/answers-strict')->status, 500, 'or not');

# --- under a reload and a publish, with questions under way

$redis->pause;
my @c = map { KongHttp->connect($node->{proxy}) } 1 .. 6;
$_->send("GET /killed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    for @c;
is($node->post_config($config)->status, 201, 'a publish meanwhile');
is(($node->reload)[0], 0, 'and a reload');
$redis->resume;
is(join(' ', map { $_->answer->status =~ /^(?:200|500)$/ ? 1 : 0 } @c),
   '1 1 1 1 1 1', 'all are answered');
is($node->wait_status('/killed', 200)->status, 200, 'and it counts');

finish();
