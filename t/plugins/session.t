# session: cookies made, taken, renewed, forgotten, and refused.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my @all = qw(id audience subject timeout idling-timeout rolling-timeout
             absolute-timeout);
my %same = (secret => 'the secret of this test');

my %routes = (
    plain => {},
    audience => { audience => 'other' },
    secret => { secret => 'another secret' },
    name => { cookie_name => 'sid', cookie_path => '/name',
              cookie_domain => 'example.com', cookie_same_site => 'Lax',
              cookie_secure => $false, cookie_http_only => $false },
    default => { cookie_same_site => 'Default' },
    idling => { idling_timeout => 2 },
    rolling => { rolling_timeout => 2 },
    absolute => { absolute_timeout => 2 },
    renew => { idling_timeout => 0, rolling_timeout => 8 },
    never => { idling_timeout => 0, rolling_timeout => 0,
               absolute_timeout => 0, response_headers => \@all },
    headers => { response_headers => \@all, request_headers => \@all },
    remember => { remember => $true, idling_timeout => 1 },
    logout => { logout_methods => ['GET'], logout_query_arg => 'bye' },
    body => { read_body_for_logout => $true, logout_post_arg => 'out' },
);

my %service = (name => 'echo', url => "http://127.0.0.1:$upstream");

sub config
{
    my (@consumers) = @_;

    return {
        _format_version => '3.0',
        services => [ { %service, routes => [
            (map { { name => $_, paths => ["/$_"], plugins => [
                 { name => 'session', config => { %same, %{ $routes{$_} } } },
                 { name => 'key-auth', config => { anonymous => 'guest' } },
                 { name => 'request-termination',
                   config => { status_code => 403 },
                   consumer => 'guest' } ] } } sort keys %routes),
            { name => 'and', paths => ['/and'], plugins => [
                { name => 'session', config => {%same} },
                { name => 'key-auth' } ] },
        ] } ],
        consumers => [ @consumers,
            { username => 'guest' },
            { username => 'alice', custom_id => 'a-1', keyauth_credentials =>
                [ { key => 'k-alice',
                    id => '5f3b7a2e-0000-4000-8000-000000000001' } ] },
            { username => 'bob', keyauth_credentials => [
                { key => 'k-bob' } ] },
        ]
    };
}

# consumers keep their ids when others come
my $config = config();
my $n = 0;

for my $consumer (@{ $config->{consumers} }) {
    $consumer->{id} = sprintf('5f3b7a2e-0000-4000-8000-0000000001%02d', $n++);
}

my $node = node_start(config => $config, allow => qr/needs a database/);

# try(path, cookie, option => ...)
sub try
{
    my ($path, $cookie, %o) = @_;
    my @headers = @{ delete $o{headers} || [] };

    push @headers, [ Cookie => $cookie ] if defined $cookie;

    return $node->get($path, %o, headers => \@headers);
}

sub key { return (headers => [ [ apikey => $_[0] ] ]) }

# cookies of an answer: name => value, with the attributes in another hash
sub cookies
{
    my ($a) = @_;

    return map { $_->[1] =~ /^([^=]+)=([^;]*)/ ? ($1 => $2) : () }
           grep { lc $_->[0] eq 'set-cookie' } @{ $a->headers };
}

sub login
{
    my ($path, $key) = @_;
    my %c = cookies(try($path, undef, key($key || 'k-alice')));

    return join('; ', map { "$_=$c{$_}" } sort keys %c);
}

# --- made and taken

my $a = try('/plain');
is($a->status, 403, 'the guest');
is($a->header('set-cookie'), undef, 'has no session');

$a = try('/plain', undef, key('k-alice'));
is($a->status, 200, 'a key');
like($a->header('set-cookie'),
     qr/^session=[\w-]{100,}; Path=\/; SameSite=Strict; Secure; HttpOnly$/,
     'a cookie');

my ($cookie) = $a->header('set-cookie') =~ /^(session=[^;]+)/;

$a = try('/plain', $cookie, headers => [ [ 'X-Consumer-Username', 'x' ],
                                         [ 'X-Anonymous-Consumer', 'true' ],
                                         [ 'X-Credential-Identifier', 'x' ] ]);
is($a->status, 200, 'the cookie instead of the key');
is($a->up('x-consumer-username'), 'alice', 'consumer');
is($a->up('x-consumer-custom-id'), 'a-1', 'custom id');
is($a->up('x-credential-identifier'), '5f3b7a2e-0000-4000-8000-000000000001',
   'credential: its id');
is($a->up('x-anonymous-consumer'), undef, 'known');
is($a->header('set-cookie'), undef, 'nothing new');

is(try('/plain', "a=b; $cookie; c=d")->status, 200, 'among others');
is(try('/plain', $cookie, key('k-alice'))->header('set-cookie'), undef,
   'the same consumer by key: the same session');

$a = try('/and', $cookie, key('k-bob'));
is($a->up('x-consumer-username'), 'bob', 'a key that must be there decides');
like($a->header('set-cookie'), qr/^session=/, 'another consumer: another one');
is(try('/and', $cookie)->status, 401, 'a session is not enough for AND');

$a = try('/plain', undef, key('wrong'));
is($a->status, 403, 'a wrong key');
is($a->header('set-cookie'), undef, 'no session');
is(try('/plain', $cookie, method => 'HEAD')->status, 200, 'HEAD');
is(try('/plain', $cookie, method => 'OPTIONS')->status, 200, 'OPTIONS');

# --- refused

my $value = $cookie =~ s/^session=//r;
my %bad = (
    'empty' => '', 'short' => substr($value, 0, -1), 'longer' => "${value}A",
    'changed' => substr($value, 0, -2) . 'xx',
    'changed in front' => 'B' . substr($value, 1),
    'not base64' => '%' x length $value, 'zeros' => 'A' x length $value,
    'huge' => 'A' x 7000, 'quoted' => "\"$value\"",
);

is(try('/plain', "session=$bad{$_}")->status, 403, "a cookie that is $_")
    for sort keys %bad;

is(try('/plain', "remember=$value")->status, 403, 'under another name');
is(try('/audience', $cookie)->status, 403, 'for another audience');
is(try('/secret', $cookie)->status, 403, 'of another secret');
is(try('/secret', login('/secret'))->status, 200, 'each has its own');

# --- the cookie

like(try('/name', undef, key('k-alice'))->header('set-cookie'),
     qr/^sid=[\w-]+; Path=\/name; Domain=example\.com; SameSite=Lax$/,
     'its name and attributes');
like(try('/default', undef, key('k-alice'))->header('set-cookie'),
     qr/^session=[\w-]+; Path=\/; Secure; HttpOnly$/, 'SameSite=Default');

# --- headers

$a = try('/headers', undef, headers => [ [ apikey => 'k-alice' ],
                                         [ 'Session-Subject', 'spoofed' ] ]);
is($a->up('session-subject'), undef, 'no session yet, and none is claimed');
like($a->header('session-id'), qr/^[\w-]{43}$/, 'id');
is($a->header('session-audience'), 'default', 'audience');
is($a->header('session-subject'), $config->{consumers}[1]{id}, 'subject');
is($a->header('session-idling-timeout'), 900, 'idling');
is($a->header('session-rolling-timeout'), 3600, 'rolling');
is($a->header('session-absolute-timeout'), 86400, 'absolute');
is($a->header('session-timeout'), 900, 'the nearest');

my ($id) = $a->header('session-id');
my ($named) = $a->header('set-cookie') =~ /^(session=[^;]+)/;

$a = try('/headers', $named, headers => [ [ 'Session-Id', 'spoofed' ] ]);
is($a->up('session-id'), $id, 'to the upstream');
is($a->up('session-subject'), $config->{consumers}[1]{id}, 'subject, too');
like($a->up('session-timeout'), qr/^(900|89\d)$/, 'and what is left');
is($a->header('session-id'), $id, 'to the client');

$a = try('/never', undef, key('k-alice'));
is($a->header('session-timeout'), undef, 'no timeouts');
is($a->header('session-rolling-timeout'), undef, 'none of them');

# --- time

my $start = now();
my %c = map { $_ => login("/$_") } qw(idling rolling absolute renew never);
my $remembered = login('/remember');
my ($session) = $remembered =~ /(session=[^;]+)/;
my ($remember) = $remembered =~ /(remember=[^;]+)/;

is(try("/$_", $c{$_})->status, 200, "$_: in time") for sort keys %c;
like((grep { /remember=/ } map { $_->[1] }
      @{ try('/remember', undef, key('k-alice'))->headers })[0],
     qr/HttpOnly; Expires=\w+, .* GMT; Max-Age=604800$/,
     'the cookie that remembers');
is(try('/plain', $remember)->status, 403, 'elsewhere it means nothing');

nap(3.2);
is(try("/$_", $c{$_})->status, 403, "$_: over")
    for qw(idling rolling absolute);
is(try('/never', $c{never})->status, 200, 'never over');

$a = try('/renew', $c{renew});
is($a->status, 200, 'renew: in time');
is($a->header('set-cookie'), undef, 'not in need of it');

$a = try('/remember', $session);
is($a->status, 403, 'remember: the session is over');
$a = try('/remember', $remembered);
is($a->status, 200, 'but remembered');
is($a->up('x-consumer-username'), 'alice', 'as who it was');
my %again = cookies($a);
ok(defined $again{session}, 'a new session');
is(try('/remember', "session=$again{session}")->status, 200, 'it works');

nap(7 - (now() - $start));
$a = try('/renew', $c{renew});
is($a->status, 200, 'renew: late');
my ($renewed) = ($a->header('set-cookie') || '') =~ /^(session=[^;]+)/;
ok(defined $renewed, 'renewed');

nap(9.2 - (now() - $start));
is(try('/renew', $c{renew})->status, 403, 'the old one is over now');
is(try('/renew', $renewed)->status, 200, 'the renewed one is not');

# --- logout

sub forgotten
{
    my ($a, $name) = @_;

    is($a->status, 200, $name);
    is($a->body, '', "$name: empty");
    is($a->header('set-cookie'), 'session=; Path=/; SameSite=Strict; Secure; '
       . 'HttpOnly; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0',
       "$name: the cookie goes");
}

forgotten(try('/plain?session_logout=1', $cookie, method => 'POST'), 'POST');
forgotten(try('/plain?session_logout', $cookie, method => 'DELETE'),
          'DELETE');
is(try('/plain?session_logout=1', $cookie)->json->{method}, 'GET',
   'GET is none');
is(try('/plain?logout=1', $cookie, method => 'POST')->json->{method}, 'POST',
   'nor is another argument');
is(try('/plain', $cookie, method => 'POST', body => 'session_logout=1',
       headers => [ [ 'Content-Type', 'application/x-www-form-urlencoded' ] ])
   ->json->{method}, 'POST', 'nor is the body, unless it is read');
is(try('/plain?session_logout=1', undef, method => 'POST')->status, 403,
   'nobody cannot log out');
forgotten(try('/logout?bye=1', $cookie), 'other method and argument');
forgotten(try('/body', $cookie, method => 'POST', body => 'a=b&out=1',
              headers => [ [ 'Content-Type',
                             'application/x-www-form-urlencoded' ] ]),
          'by body');
forgotten(try('/body', $cookie, method => 'POST', body => '{"out":true}',
              headers => [ [ 'Content-Type', 'application/json' ] ]),
          'by JSON');
is(try('/body', $cookie, method => 'POST', body => 'a=b',
       headers => [ [ 'Content-Type', 'application/x-www-form-urlencoded' ] ])
   ->json->{body}, 'a=b', 'another body goes on');

my @set = map { $_->[1] } grep { lc $_->[0] eq 'set-cookie' }
    @{ try('/remember?session_logout=1', $remembered, method => 'POST')
       ->headers };
is(scalar(grep { /^(session|remember)=; .*Max-Age=0$/ } @set), 2,
   'both are forgotten');

# --- consumers come and go

my $changed = config({ id => '00000000-0000-4000-8000-000000000000',
                       username => 'new' });
my $i = 0;

for my $consumer (@{ $changed->{consumers} }) {
    $consumer->{id} = sprintf('5f3b7a2e-0000-4000-8000-0000000001%02d', $i++)
        if $consumer->{username} ne 'new';
}

is($node->post_config($changed)->status, 201, 'another consumer in front');
$a = try('/plain', $cookie);
is($a->up('x-consumer-username'), 'alice', 'still alice');

$changed->{consumers} = [ grep { $_->{username} ne 'alice' }
                          @{ $changed->{consumers} } ];
is($node->post_config($changed)->status, 201, 'alice goes');
$a = try('/plain', $cookie);
is($a->status, 403, 'and her session with her');
like($a->header('set-cookie'), qr/^session=;.*Max-Age=0/, 'forgotten');
like(try('/plain', $cookie, key('k-bob'))->header('set-cookie'),
     qr/^session=[\w-]+; Path/, 'or replaced');

# --- storage kong, which is in session-storage.t, without a database

$changed->{services}[0]{routes}[$_]{plugins}[0]{config}{storage} = 'kong'
    for 0 .. $#{ $changed->{services}[0]{routes} };
is($node->post_config($changed)->status, 201, 'storage: kong');
$a = try('/plain', undef, key('k-bob'));
is($a->status, 200, 'a key');
is(try('/plain', join('; ', map { "$_->[0]=$_->[1]" } [ cookies($a) ]))
   ->status, 403, 'no session');

finish();
