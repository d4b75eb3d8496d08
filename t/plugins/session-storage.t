# session with storage "kong": rows of the database, on two nodes; cookies
# hold no more than an id; what happens when the database or the daemon is
# gone.

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
my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

# what a worker knows it knows alone: one of them, where it shall be seen
my %node = (allow => qr/session: |\/session\/|ask\.sock/,
            env => { $pg->env, KONG_PG_TIMEOUT => 2000 });
my $node = node_start(%node, workers => 1);
my $second = node_start(%node, workers => 2);

sub admin
{
    my ($method, $path, $body) = @_;
    my $a = $node->admin("$path?wait=true", method => $method,
        headers => { 'Content-Type' => 'application/json' }, timeout => 40,
        defined $body ? (body => json_encode($body)) : ());

    die "$method $path: " . $a->status . ' ' . $a->body if $a->status >= 300;

    return length($a->body) ? $a->json : undef;
}

my %routes = (
    plain => { response_headers => [ 'id' ] },
    cookie => { storage => 'cookie' },
    audience => { audience => 'other' },
    renew => { idling_timeout => 0, rolling_timeout => 4, stale_ttl => 3,
               response_headers => [ 'id' ] },
    touch => { idling_timeout => 5, response_headers => [ 'id' ] },
    absolute => { absolute_timeout => 3 },
    never => { idling_timeout => 0, rolling_timeout => 0,
               absolute_timeout => 0, response_headers => [ 'id' ] },
    remember => { remember => $true, idling_timeout => 1,
                  response_headers => [ 'id' ] },
    body => { read_body_for_logout => $true, logout_post_arg => 'out' },
);

admin('PUT', '/services/echo', { url => 'http://127.0.0.1:' . echo_start() });
my %who = map { $_ => admin('PUT', "/consumers/$_", {})->{id} }
          qw(alice bob guest);
admin('POST', "/consumers/$_/key-auth", { key => "k-$_" }) for qw(alice bob);

for my $name (sort keys %routes) {
    admin('PUT', "/services/echo/routes/$name", { paths => ["/$name"] });
    admin('POST', "/routes/$name/plugins", { name => 'session', config => {
        secret => 'the secret of this test', storage => 'kong',
        %{ $routes{$name} } } });
    admin('POST', "/routes/$name/plugins", { name => 'key-auth',
        config => { anonymous => 'guest' } });
    admin('POST', "/routes/$name/plugins", { name => 'request-termination',
        consumer => { id => $who{guest} }, config => { status_code => 403 } });
}

ok(wait_until(10, sub {
    $node->admin('/generation')->json->{version}
    == $second->admin('/generation')->json->{version} }),
   'both nodes serve the same');

# try(path, cookie, on => node, key => name, ...)
sub try
{
    my ($path, $cookie, %o) = @_;
    my $on = delete $o{on} || $node;
    my $key = delete $o{key};
    my @headers = @{ delete $o{headers} || [] };

    push @headers, [ Cookie => $cookie ] if defined $cookie;
    push @headers, [ apikey => "k-$key" ] if defined $key;

    return $on->get($path, timeout => 20, %o, headers => \@headers);
}

sub cookies
{
    my ($a) = @_;
    my %c = map { $_->[1] =~ /^([^=]+)=([^;]*)/ ? ($1 => $2) : () }
            grep { lc $_->[0] eq 'set-cookie' } @{ $a->headers };

    return wantarray ? %c : join('; ', map { "$_=$c{$_}" } sort keys %c);
}

sub login { my ($path, %o) = @_;
            return scalar cookies(try($path, undef, key => 'alice', %o)); }

sub rows
{
    my ($where) = @_;

    return $pg->query('SELECT count(*) FROM sessions'
                      . ($where ? " WHERE $where" : ''));
}

sub who { return $_[0]->up('x-consumer-username') || $_[0]->status }


# --- made and taken

my $a = try('/plain');
is($a->status, 403, 'the guest');
is($a->header('set-cookie'), undef, 'has no session');
is(rows(), 0, 'nor a row');

$a = try('/plain', undef, key => 'alice');
my $cookie = cookies($a);
my $id = $a->header('session-id');
is(who($a), 'alice', 'a key');
like($a->header('set-cookie'),
     qr/^session=[\w-]{100,}; Path=\/; SameSite=Strict; Secure; HttpOnly$/,
     'a cookie');
is(who(try('/plain', $cookie)), 'alice', 'taken at once') for 1 .. 3;
is(who(try('/plain', $cookie, on => $second)), 'alice', 'by the other node')
    for 1 .. 4;
$a = try('/plain', $cookie);
is($a->header('set-cookie'), undef, 'nothing new');
is($a->header('session-id'), $id, 'its id');
is($a->up('x-anonymous-consumer'), undef, 'known');

my $row = $pg->query("SELECT session_id, round(expires - extract(epoch FROM "
    . "created_at)), round(extract(epoch FROM ttl - created_at)) "
    . 'FROM sessions');
is($row, "$id|3600|3600", "a row of Kong's");
my $data = $pg->query('SELECT data FROM sessions');
unlike($data, qr/$who{alice}|$id/, 'sealed');
ok(index($cookie, $data) < 0, 'which the cookie does not hold');

for my $n (1 .. 20) {
    my $on = $n & 1 ? $node : $second;
    my $c = login('/plain', on => $on);
    is(who(try('/plain', $c, on => $n & 2 ? $node : $second)), 'alice',
       'a session works as soon as there is its cookie');
}


# --- refused

my $value = $cookie =~ s/^session=//r;
my %bad = ('cut' => substr($value, 0, -1), 'changed' =>
    substr($value, 0, -3) . 'xxx', 'empty' => '', 'the id' => $id,
    'the data' => $data, 'not base64' => '%' x length $value,
    'huge' => 'A' x 7000);

is(try('/plain', "session=$bad{$_}")->status, 403, "a cookie: $_")
    for sort keys %bad;

$a = try('/cookie', $cookie);
is($a->status, 403, 'where they hold it all');
is($a->header('set-cookie'), undef, 'it is none there');
is(try('/plain', login('/cookie'))->status, 403, 'and the reverse');
is(try('/audience', $cookie)->status, 403, 'for another audience');

# a row is good for its own id only
my $bob = cookies($a = try('/plain', undef, key => 'bob'));
my $other = $a->header('session-id');
ok(wait_until(10, sub { rows("session_id = '$other'") == 1 }), 'a row of bob');
is(who(try('/plain', $bob)), 'bob', 'bob');
$pg->query("UPDATE sessions SET data = (SELECT data FROM sessions WHERE "
           . "session_id = '$id') WHERE session_id = '$other'");
ok(wait_until(10, sub { try('/plain', $bob)->status == 403 }),
   'data of another row');
$pg->query("UPDATE sessions SET data = 'x' WHERE session_id = '$other'");
is(try('/plain', $bob, on => $second)->status, 403, 'data that is none');

$pg->query("DELETE FROM sessions WHERE session_id = '$id'");
ok(wait_until(10, sub { try('/plain', $cookie, on => $_)->status == 403 }),
   'a row that is deleted') for $node, $second;
$a = try('/plain', $cookie, key => 'bob');
is(who($a), 'bob', 'a key beside it');
isnt($a->header('session-id'), $id, 'begins another');


# --- logout

$a = try('/plain', undef, key => 'alice');
($cookie, $id) = (scalar cookies($a), $a->header('session-id'));
is(who(try('/plain', $cookie, on => $second)), 'alice', 'in') for 1 .. 4;
$a = try('/plain?session_logout=true', $cookie, method => 'POST');
is($a->status, 200, 'logout');
is($a->body, '', 'says nothing');
like($a->header('set-cookie'), qr/^session=; .*Max-Age=0/, 'forget it');
is(rows("session_id = '$id'"), 0, 'the row is gone');
is(try('/plain', $cookie)->status, 403, 'out');
ok(wait_until(10, sub { try('/plain', $cookie, on => $second)->status == 403 }),
   'on all nodes');
is(try('/plain?session_logout=true', $cookie, method => 'POST')->status, 403,
   'nobody is left');

$cookie = login('/body');
is(who(try('/body', $cookie)), 'alice', 'in');
$a = try('/body', $cookie, method => 'POST', body => 'out=1', headers =>
    [ [ 'Content-Type', 'application/x-www-form-urlencoded' ] ]);
is($a->status, 200, 'logout by body');
is($a->body, '', 'says nothing');
is(try('/body', $cookie)->status, 403, 'out');

# whose consumer is gone
admin('PUT', '/consumers/carol', {});
admin('POST', '/consumers/carol/key-auth', { key => 'k-carol' });
$a = try('/plain', undef, key => 'carol');
($cookie, $id) = (scalar cookies($a), $a->header('session-id'));
is(who(try('/plain', $cookie)), 'carol', 'a consumer');
admin('DELETE', '/consumers/carol');
$a = try('/plain', $cookie);
is($a->status, 403, 'that is deleted');
like($a->header('set-cookie'), qr/^session=; .*Max-Age=0/, 'forget it');
ok(wait_until(10, sub { rows("session_id = '$id'") == 0 }),
   'its session is removed');


# --- time

$a = try('/renew', undef, key => 'alice');
($cookie, $id) = (scalar cookies($a), $a->header('session-id'));
my $renewed;
ok(wait_until(6, sub {
    $renewed = try('/renew', $cookie);
    $renewed->header('set-cookie') }), 'renewed in its last quarter');
is(who($renewed), 'alice', 'still in');
my $next = $renewed->header('session-id');
isnt($next, $id, 'another id');
is(who(try('/renew', scalar cookies($renewed), on => $second)), 'alice',
   'which works');
ok(wait_until(10, sub { rows("session_id = '$next'") == 1 }), 'a row of it');
cmp_ok($pg->query("SELECT extract(epoch FROM ttl - CURRENT_TIMESTAMP) FROM "
       . "sessions WHERE session_id = '$id' UNION ALL SELECT 0 LIMIT 1"),
       '<=', 3, 'the old one stays for a moment');

$a = try('/touch', undef, key => 'alice');
($cookie, $id) = (scalar cookies($a), $a->header('session-id'));
$row = $pg->query("SELECT ttl, data FROM sessions WHERE session_id = '$id'");
ok(wait_until(5, sub {
    $a = try('/touch', $cookie); $a->header('set-cookie') }), 'touched');
is($a->header('session-id'), $id, 'the same session');
isnt(scalar cookies($a), $cookie, 'another cookie');
is($pg->query("SELECT ttl, data FROM sessions WHERE session_id = '$id'"),
   $row, 'nothing is written for it');

$cookie = login('/absolute');
is(who(try('/absolute', $cookie)), 'alice', 'in');
ok(wait_until(8, sub { try('/absolute', $cookie)->status == 403 }),
   'absolute_timeout');

$a = try('/never', undef, key => 'alice');
$id = $a->header('session-id');
ok(wait_until(5, sub { rows("session_id = '$id' AND ttl IS NULL") == 1 }),
   'no time-outs');
is(who(try('/never', scalar cookies($a), on => $second)), 'alice', 'for ever');


# --- remember

$a = try('/remember', undef, key => 'alice');
my %c = cookies($a);
is(join(' ', sort keys %c), 'remember session', 'two cookies');
$id = $a->header('session-id');
ok(wait_until(5, sub {
    rows('ttl > CURRENT_TIMESTAMP + \'6 days\'::interval') == 1 }),
   'a row of its own');
$cookie = "remember=$c{remember}";
$a = try('/remember', $cookie, on => $second);
is(who($a), 'alice', 'it begins a session');
isnt($a->header('session-id'), $id, 'another one');
my %again = cookies($a);
is(join(' ', keys %again), 'session', 'its cookie');
is(who(try('/plain', "session=$again{session}")), 'alice', 'taken');
ok(wait_until(5, sub {
    try('/remember', "session=$again{session}")->status == 403 }), 'idle');
is(who(try('/remember', "session=$again{session}; $cookie")), 'alice',
   'remembered');
$a = try('/remember', "session=$again{session}; $cookie");
$a = try('/remember?session_logout', "session=$again{session}; $cookie",
         method => 'DELETE');
is($a->status, 200, 'logout');
is(rows('ttl > CURRENT_TIMESTAMP + \'6 days\'::interval'), 0,
   'nothing is remembered');
ok(wait_until(5, sub { try('/remember', $cookie, on => $_)->status == 403 }),
   'by no node') for $node, $second;


# --- what is over is removed

$pg->query('ALTER TABLE sessions DISABLE TRIGGER USER; '
    . 'INSERT INTO sessions (id, session_id, ttl) SELECT md5(n::text)::uuid, '
    . "'old' || n, CURRENT_TIMESTAMP - interval '1 hour' "
    . 'FROM generate_series(1, 1500) n; '
    . 'ALTER TABLE sessions ENABLE TRIGGER USER');
$second->stop;
is(($second->start)[0], 0, 'started again');
ok(wait_until(20, sub { rows("session_id LIKE 'old%'") == 0 }),
   'old rows are gone');


# --- the database is gone, the daemon is gone

$cookie = login('/plain');
is(who(try('/plain', $cookie)), 'alice', 'known') for 1 .. 4;
$bob = scalar cookies(try('/plain', undef, key => 'bob', on => $second));
ok(wait_until(5, sub { who(try('/plain', $bob, on => $second)) eq 'bob' }),
   'the row of another is there');

$pg->pause;
my $begin = now();
is(who(try('/plain', $cookie)), 'alice', 'a hung database: a known session')
    for 1 .. 50;
cmp_ok(now() - $begin, '<', 20, 'does not wait for it each time');
$begin = now();
is(try('/plain', $bob)->status, 403, 'an unknown one is none');
is(who(try('/plain', $bob, key => 'bob')), 'bob', 'a key is a key');
cmp_ok(now() - $begin, '<', 15, 'in time');
$a = try('/plain?session_logout=1', $cookie, method => 'POST');
is($a->status, 500, 'no logout');
is($a->header('set-cookie'), undef, 'the cookie stays');
$pg->resume;
ok(wait_until(10, sub { who(try('/plain', $bob)) eq 'bob' }), 'and back');
is(try('/plain?session_logout=1', $cookie, method => 'POST')->status, 200,
   'logout');

$cookie = login('/plain');
is(who(try('/plain', $cookie)), 'alice', 'known');
my $daemon = $node->controld;
kill('KILL', $daemon);
ok(wait_until(10, sub { !alive($daemon) }), 'the daemon is killed');
is(who(try('/plain', $cookie)), 'alice', 'a known session') for 1 .. 4;
$a = try('/plain', undef, key => 'bob');
is(who($a), 'bob', 'a key');
like($a->header('set-cookie'), qr/^session=/, 'and a cookie, as in Kong');
is(try('/plain', scalar cookies($a))->status, 403, 'that stands for nothing');
is(try('/plain?session_logout=1', $cookie, method => 'POST')->status, 500,
   'no logout');

finish();
