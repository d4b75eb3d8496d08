# file-log, and the log record that all plugins share: what is in it when a
# request is answered, refused, retried, given up; path, reopen,
# custom_fields_by_lua; files that are renamed, full, or pipes.

use strict;
use warnings;

use Fcntl;
use KongEcho;
use KongHttp;
use KongLog;
use KongNode;
use KongTest;
use POSIX ();
use Test::More;

my $upstream = echo_start();
my $dead = free_port();
my $dir = log_dir();
my ($true, $false) = (JSON::PP::true(), JSON::PP::false());

POSIX::mkfifo("$dir/fifo", 0666);
chmod(0666, "$dir/fifo");

sub file_log
{
    my ($name, %config) = @_;

    return { name => 'file-log', config => { path => "$dir/$name", %config } };
}

my %lua = (
    'a.b.c' => 'return kong.request.get_header("X_A")',
    route => 'return nil',
    'request.headers.x-a' => 'return nil',
    'request.size.x' => 'return 1',
    list => 'local t = {} for i = 1, 3 do t[i] = i * 2 end return t',
    map => 'return { x = { 1, 2 }, y = "q\"", z = true, n = ngx.null }',
    var => 'return ngx.var.request_uri',
    status => 'return ngx.status + kong.response.get_status()',
    query => 'return kong.request.get_query_arg("q")',
    name => 'return kong.router.get_route().name',
    consumer => 'return (kong.client.get_consumer() or {}).username',
    source => 'return kong.response.get_source()',
    none => 'return nothing.at.all',
    endless => 'while true do end',
    write => 'string.upper = nil',
    global => 'x = (x or 0) + 1 return x',
    closed => 'return type(os.execute) .. type(io) .. type(load)',
    nan => 'return 0/0',
    fn => 'return print',
);

my $node = node_start(workers => 4, config => {
    _format_version => '3.0',
    consumers => [
        { username => 'alice', keyauth_credentials => [ { key => 'a' } ],
          plugins => [ file_log('alice') ] },
        { username => 'bob', keyauth_credentials => [ { key => 'b' } ] },
        { username => 'anon' }
    ],
    upstreams => [ { name => 'two', targets => [
        { target => "127.0.0.1:$dead", weight => 1000 },
        { target => "127.0.0.1:$upstream", weight => 1 } ] } ],
    plugins => [ file_log('global'), { name => 'correlation-id' } ],
    services => [
        { name => 'echo', url => "http://127.0.0.1:$upstream/base", routes => [
            { name => 'plain', paths => [ '/plain' ] },
            { name => 'https', paths => [ '/https' ],
              protocols => [ 'https' ] },
            { name => 'own', paths => [ '/own' ],
              plugins => [ file_log('own') ] },
            { name => 'off', paths => [ '/off' ], plugins => [
              { %{ file_log('off') }, enabled => $false } ] },
            { name => 'key', paths => [ '/key' ], plugins => [
              { name => 'key-auth', config => { anonymous => 'anon' } } ] },
            { name => 'lua', paths => [ '/lua' ], plugins => [
              file_log('lua', custom_fields_by_lua => \%lua) ] },
            { name => 'reopen', paths => [ '/reopen' ], plugins => [
              file_log('reopen', reopen => $true) ] },
            { name => 'kept', paths => [ '/kept' ], plugins => [
              file_log('kept') ] },
            { name => 'fifo', paths => [ '/fifo' ], plugins => [
              file_log('fifo') ] },
            { name => 'full', paths => [ '/full' ], plugins => [
              { name => 'file-log', config => { path => '/dev/full' } } ] },
            { name => 'nowhere', paths => [ '/nowhere' ], plugins => [
              { name => 'file-log',
                config => { path => "$dir/no/such" } } ] },
            { name => 'count', paths => [ '/count' ], plugins => [
              file_log('count') ] },
            { name => 'change', paths => [ '/change' ], plugins => [
              { name => 'request-transformer', config => {
                http_method => 'PUT', add => {
                  querystring => [ 'n:1' ], headers => [ 'x-n:1' ] } } } ] },
            { name => 'stop', paths => [ '/stop' ], plugins => [
              { name => 'request-termination',
                config => { status_code => 418 } } ] },
        ] },
        { name => 'dead', url => "http://127.0.0.1:$dead/", retries => 0,
          routes => [ { name => 'dead', paths => [ '/dead' ] } ] },
        { name => 'two', host => 'two', routes => [
          { name => 'two', paths => [ '/two' ] } ] },
    ]
});

my $seen = 0;

# the record of what was just asked for
sub last_record
{
    my @records = log_wait("$dir/global", ++$seen);

    return $records[$seen - 1];
}

# a request like any other
$node->get('/plain/a%20b?x=%41&x=2&y&z=&=1', headers => [
    [ 'X-Two', 'a' ], [ 'x-two', 'b' ], [ 'Authorization', 'Basic abc' ],
    [ 'Proxy-Authorization', 'x' ], [ 'Proxy-Authorization', 'y' ],
    [ 'X-Bytes', "\xe9\xc3\xa9\t\"\\" ], [ 'X-Empty', '' ] ]);
my $r = last_record();

is($r->{request}{uri}, '/plain/a%20b?x=%41&x=2&y&z=&=1', 'uri');
is($r->{request}{url}, "http://127.0.0.1:$node->{proxy}$r->{request}{uri}",
   'url');
is_deeply($r->{request}{querystring}, { x => [ 'A', '2' ], y => $true,
                                        z => '' }, 'querystring');
is($r->{upstream_uri}, '/base/a%20b?x=%41&x=2&y&z=&=1', 'upstream_uri');
is_deeply($r->{request}{headers}{'x-two'}, [ 'a', 'b' ], 'a header twice');
is($r->{request}{headers}{'x-empty'}, '', 'an empty one');
is($r->{request}{headers}{authorization}, 'REDACTED', 'no credentials');
is($r->{request}{headers}{'proxy-authorization'}, 'REDACTED', 'nor these');
is($r->{request}{headers}{'x-bytes'}, "\x{fffd}\x{e9}\t\"\\", 'any bytes');
is($r->{correlation_id}, $r->{request}{headers}{'kong-request-id'},
   'correlation_id');
like($r->{correlation_id}, qr/#\d+$/, 'which is there');
is($r->{client_ip}, '127.0.0.1', 'client_ip');
is($r->{source}, 'upstream', 'source');
is($r->{route}{name}, 'plain', 'route');
is($r->{service}{name}, 'echo', 'service');
ok(!exists $r->{$_}, "no $_") for qw(consumer authenticated_entity);
is($r->{tries}[0]{port}, $upstream, 'the address');
ok(!exists $r->{tries}[0]{state}, 'a good try');

# consumers
$node->get('/key', headers => { apikey => 'b' });
$r = last_record();
is($r->{consumer}{username}, 'bob', 'consumer');
like($r->{authenticated_entity}{id}, qr/^[0-9a-f-]{36}$/, 'credential');

$node->get('/key');
$r = last_record();
is($r->{consumer}{username}, 'anon', 'the anonymous consumer');
ok(!exists $r->{authenticated_entity}, 'has no credential');

$node->get('/key', headers => { apikey => 'a' });
my @alice = log_wait("$dir/alice", 1);
is($alice[0]{consumer}{username}, 'alice', 'an instance of a consumer');
is(scalar(() = log_text("$dir/global") =~ /\n/g), $seen,
   'which runs in the place of the global one');

$node->get('/own');
is((log_wait("$dir/own", 1))[0]{route}{name}, 'own', 'that of a route');
$node->get('/off');
is(last_record()->{route}{name}, 'off', 'one that is off does not count');
ok(!-e "$dir/off", 'and writes nothing');

# answers of our own
$node->get('/none?x=1');
$r = last_record();
is($r->{response}{status}, 404, 'no route');
is("$r->{upstream_uri}$r->{upstream_status}", '', 'nothing was asked');
is($r->{latencies}{proxy}, -1, 'nor waited for');
is($r->{source}, 'kong', 'it was us');
ok(!exists $r->{$_}, "no $_") for qw(route service tries);

$node->get('/https');
$r = last_record();
is($r->{response}{status}, 426, 'a route for https');
is($r->{response}{headers}{upgrade}, 'TLS/1.2, HTTP/1.1', 'with its header');
is($r->{source}, 'kong', 'by us');

$node->get('/stop?x=1');
$r = last_record();
is($r->{response}{status}, 418, 'a plugin answered');
is($r->{upstream_uri}, '/base', 'what would have been asked for');
is_deeply($r->{tries}, [], 'without a try');

my $c = KongHttp->connect($node->{proxy});
$c->send("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n");
$c->answer;
$r = last_record();
is($r->{response}{status}, 400, 'what is no HTTP');
is($r->{source}, 'kong', 'gets our answer');

$node->get('/change?a=1', method => 'POST', body => '');
$r = last_record();
is($r->{request}{method}, 'PUT', 'the method that was sent');
is_deeply($r->{request}{querystring}, { a => '1', n => '1' }, 'the query');
is($r->{request}{headers}{'x-n'}, '1', 'and headers');
like($r->{request}{uri}, qr{^/change\?a=1$}, 'the target as it came');

# upstreams
$node->get('/dead');
$r = last_record();
is($r->{response}{status}, 502, 'a dead one');
is($r->{upstream_status}, '502', 'its status');
is($r->{source}, 'kong', 'our answer');
is(scalar @{ $r->{tries} }, 1, 'one try');

$node->get('/two');
$r = last_record();
is($r->{response}{status}, 200, 'the second one answers');
is($r->{upstream_status}, '502, 200', 'two statuses');
is_deeply([ map { $_->{port} } @{ $r->{tries} } ], [ $dead, $upstream ],
          'two tries');
is($r->{tries}[0]{state}, 'failed', 'the first has failed');
is($r->{tries}[0]{code}, 502, 'with a code');
ok(!exists $r->{tries}[1]{state}, 'the second has not');
is($r->{source}, 'upstream', 'and it was the answer');

$node->get('/plain', headers => { 'X-Echo-Headers' => 'Set-Cookie: a|'
                                  . 'Set-Cookie: b', 'X-Echo-Chunked' => 1 });
$r = last_record();
is_deeply($r->{response}{headers}{'set-cookie'}, [ 'a', 'b' ],
          'an answer\'s header twice');
is($r->{response}{headers}{'transfer-encoding'}, 'chunked', 'chunks');
cmp_ok($r->{response}{size}, '>', 100, 'size');

$node->get('/plain', method => 'HEAD');
$r = last_record();
is($r->{request}{method}, 'HEAD', 'HEAD');
is($r->{response}{status}, 200, 'is logged');

$node->get('/plain', headers => { 'X-Echo-Delay' => 300 });
$r = last_record();
cmp_ok($r->{latencies}{proxy}, '>=', 295, 'latencies: the upstream');
cmp_ok($r->{latencies}{request}, '>=', 295, 'all');
cmp_ok($r->{latencies}{kong}, '<', 295, 'we');

# a client that leaves
$c = KongHttp->connect($node->{proxy});
$c->send("GET /plain HTTP/1.1\r\nHost: a\r\nX-Echo-Delay: 3000\r\n\r\n");
nap(0.2);
$c->close;
$r = last_record();
is($r->{response}{status}, 499, 'a client that left');
cmp_ok($r->{latencies}{request}, '>=', 100, 'after a while');

# an upgraded connection, once it is over
$c = KongHttp->connect($node->{proxy});
$c->send("GET /plain HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
         . "Upgrade: websocket\r\n\r\n");
is($c->answer->status, 101, 'an upgrade');
$c->send('x' x 100);
is($c->read_bytes(100), 'x' x 100, 'bytes both ways');
is(scalar(() = log_text("$dir/global") =~ /\n/g), $seen, 'not logged yet');
$c->close;
$r = last_record();
is($r->{response}{status}, 101, 'logged');
is($r->{response}{headers}{connection}, 'upgrade', 'connection');

$node->get_ssl('/plain');
$r = last_record();
like($r->{request}{tls}{version}, qr/^TLSv1\.[23]$/, 'tls: version');
like($r->{request}{tls}{cipher}, qr/^[A-Z0-9_-]+$/, 'cipher');
is($r->{request}{tls}{client_verify}, 'NONE', 'client_verify');
like($r->{request}{url}, qr/^https:/, 'url');

# custom_fields_by_lua
$node->get('/lua?q=7', headers => { 'X-A' => 'v' }) for 1 .. 2;
$r = (log_wait("$dir/lua", 2))[1];
is($r->{a}{b}{c}, 'v', 'a path of names');
ok(!exists $r->{route}, 'nil removes');
ok(!exists $r->{request}{headers}{'x-a'}, 'inside, too');
is_deeply($r->{request}{size}, { x => 1 }, 'a number gives way to an object');
is_deeply($r->{list}, [ 2, 4, 6 ], 'an array');
is_deeply($r->{map}, { x => [ 1, 2 ], y => 'q"', z => $true, n => undef },
          'a table');
is($r->{var}, '/lua?q=7', 'a variable');
is($r->{status}, 400, 'numbers');
is($r->{query}, '7', 'an argument');
is($r->{name}, 'lua', 'the route');
ok(!exists $r->{consumer}, 'nobody');
is($r->{source}, 'service', 'over what was there');
is($r->{global}, 1, 'nothing of the run before');
is($r->{closed}, 'nilnilnil', 'nothing dangerous');
ok(!exists $r->{$_}, "$_ failed") for qw(none endless write nan fn);
like($node->error_log, qr/"return nothing\.at\.all" failed: .*nothing/,
     'and the log says why');
is($r->{request}{id} =~ /^[0-9a-f]{32}$/ ? 1 : 0, 1, 'id');

# files that go
$node->get('/kept');
log_wait("$dir/kept", 1);
rename("$dir/kept", "$dir/kept.1");
ok(wait_until(10, sub { $node->get('/kept'); -s "$dir/kept" }),
   'a file that was renamed is left');
is($node->get('/kept')->status, 200, 'with nothing lost');
my $n = () = (log_text("$dir/kept.1") . log_text("$dir/kept")) =~ /\n/g;
ok($n >= 3, "$n lines");

$node->get('/reopen');
log_wait("$dir/reopen", 1);
unlink("$dir/reopen");
$node->get('/reopen') for 1 .. 8;
is(scalar log_wait("$dir/reopen", 8), 8, 'reopen: at once');
is((stat("$dir/reopen"))[2] & 0777, 0644, 'the mode');

# pipes and full disks hold nobody up
my $start = now();

$node->get($_) for qw(/fifo /full /nowhere) x 3;
cmp_ok(now() - $start, '<', 5, 'nobody waits');
like($node->error_log, qr{file-log: "/dev/full": .*: \d+ entries were lost},
     'told: a full disk');
like($node->error_log, qr{file-log: "\Q$dir\E/no/such": .*lost},
     'a folder that is not there');
like($node->error_log, qr{file-log: "\Q$dir\E/fifo": .*lost},
     'a pipe that nobody reads');

sysopen(my $fifo, "$dir/fifo", O_RDONLY | O_NONBLOCK) or die;
my $got = '';
ok(wait_until(10, sub {
    $node->get('/fifo');
    sysread($fifo, $got, 65536, length $got);
    $got =~ /\n/;
}), 'somebody reads the pipe');
is(json_decode((split /\n/, $got)[0])->{route}{name}, 'fifo', 'a record');

$node->get('/fifo') for 1 .. 200;
is($node->get('/fifo')->status, 200, 'a pipe that is full');
1 while sysread($fifo, $got, 65536, length $got);
is(scalar(grep { !eval { json_decode($_); 1 } } split /\n/, $got, -1) <= 5
   ? 1 : 0, 1, 'loses whole records, but for the last of a worker');

# every request is there once
my @pids = map {
    spawn(sub {
        my $conn = KongHttp->connect($node->{proxy});
        $conn->request("/count/$_") for 1 .. 250;
    })
} 1 .. 4;

my @counted = log_wait("$dir/count", 1000, 60);
is(scalar @counted, 1000, 'four workers: all requests');
my %ids = map { $_->{request}{id} => 1 } @counted;
is(scalar keys %ids, 1000, 'each once');
kill_pid($_) for @pids;

# what entities look like follows them, with the small changes, too
sub document
{
    my ($tag, @more) = @_;

    return {
        _format_version => '3.0',
        consumers => [ { username => 'carol', custom_id => "id-$tag",
                         keyauth_credentials => [ { key => 'c' } ] } ],
        plugins => [ file_log('changing') ],
        services => [ {
            name => 's', url => "http://127.0.0.1:$upstream/",
            tags => [ $tag ], routes => [
                { name => 'changing', paths => [ '/changing' ],
                  tags => [ "route-$tag" ],
                  plugins => [ { name => 'key-auth' } ] },
                @more ]
        } ]
    };
}

my $other = node_start(workers => 1, config => document('one'));

for my $tag (qw(one two three)) {
    my @more = $tag eq 'one' ? ()
        : { name => "new-$tag", paths => [ "/new-$tag" ], tags => [ 'new' ] };

    $other->write_config(document($tag, @more)) if $tag ne 'one';

    ok(wait_until(20, sub {
        $other->get('/changing', headers => { apikey => 'c' });
        my @all = log_wait("$dir/changing", 1);
        $r = $all[-1];
        $r->{service}{tags}[0] eq $tag
    }), "a service that changes: $tag");

    is($r->{route}{tags}[0], "route-$tag", 'its route');
    is($r->{consumer}{custom_id}, "id-$tag", 'and a consumer');

    next if !@more;

    $n = () = log_text("$dir/changing") =~ /\n/g;
    $other->get("/new-$tag");
    $r = (log_wait("$dir/changing", $n + 1))[$n];
    is($r->{route}{name}, "new-$tag", 'a new route');
    is($r->{route}{tags}[0], 'new', 'and what it looks like');
}

finish();
