# ldap-auth against a real slapd, in plain, over TLS and with StartTLS; and
# against servers that are down, slow or hostile.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongLdap;
use KongNode;
use KongTest;
use MIME::Base64 qw(encode_base64);
use Test::More;

ldap_skip();

my $upstream = echo_start();
my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $dir = temp_dir('cert');

my ($rc, undef, $err) = run('openssl', 'req', '-x509', '-newkey', 'rsa:2048',
    '-nodes', '-days', 2, '-subj', '/CN=dir.test', '-keyout', "$dir/key.pem",
    '-out', "$dir/cert.pem", '-addext',
    'subjectAltName=DNS:dir.test,IP:127.0.0.1');
is($rc, 0, 'a certificate') or diag($err);
chmod(0755, $dir);
chmod(0644, "$dir/cert.pem");

my %users = (bob => 's3cret', colon => 'a:b:c', "m\xc3\xbcller" => "\xe2\x82"
             . "\xacuro", 'a,b+c' => 'pw', '#x"y\\z' => 'pw', 'o p' => 'pw',
             (map { ("u$_" => "p$_") } 0 .. 63));
my $ldap = ldap_new(users => \%users, cert => "$dir/cert.pem",
                    key => "$dir/key.pem");

# --- servers that do not behave

sub bind_answer { return "\x30\x0c$_[0]\x61\x07\x0a\x01$_[1]\x04\x00\x04\x00" }

my $gone = "$dir/gone";
my %bad = (
    silent => ldap_bad(sub { 1 }, $gone),
    slow => ldap_bad(sub {
        nap(1.5);
        syswrite($_[0], bind_answer($_[1], "\0"));
    }),
    bytes => ldap_bad(sub {
        for my $c (split(//, bind_answer($_[1], "\0"))) {
            syswrite($_[0], $c);
            nap(0.01);
        }
        1;
    }),
    closes => ldap_bad(sub { 0 }),
    half => ldap_bad(sub { syswrite($_[0], "\x30\x0c"); 0 }),
    http => ldap_bad(sub { syswrite($_[0], "HTTP/1.0 400 Bad\r\n\r\n"); 1 }),
    huge => ldap_bad(sub { syswrite($_[0], "\x30\x84\x7f\xff\xff\xff"); 1 }),
    otherid => ldap_bad(sub {
        syswrite($_[0], bind_answer("\x02\x01\x55", "\0"));
    }),
    otherop => ldap_bad(sub {
        syswrite($_[0], "\x30\x0c$_[1]\x65\x07\x0a\x01\0\x04\x00\x04\x00");
    }),
    notice => ldap_bad(sub {
        syswrite($_[0], "\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x34\x04\0\x04\0");
    }),
    busy => ldap_bad(sub { syswrite($_[0], bind_answer($_[1], "\x33")) }),
    # only the first message of a connection is answered
    once => ldap_bad(sub {
        syswrite($_[0], bind_answer($_[1], "\0")) if $_[1] eq "\x02\x01\x01";
        $_[1] eq "\x02\x01\x01";
    }),
    notls => ldap_bad(sub {
        syswrite($_[0], "\x30\x0c$_[1]\x78\x07\x0a\x01\x02\x04\0\x04\0");
    }),
    # the answer to a bind that was not sent yet, from before TLS
    inject => ldap_bad(sub {
        syswrite($_[0], "\x30\x0c$_[1]\x78\x07\x0a\x01\0\x04\0\x04\0"
                        . bind_answer("\x02\x01\x02", "\0"));
    }),
);

my %tls = (
    ldaps => { ldaps => $true, ldap_port => $ldap->{tls} },
    starttls => { start_tls => $true },
);

my %routes = (
    plain => {},
    uncached => { cache_ttl => 0 },
    second => { cache_ttl => 1 },
    hide => { hide_credentials => $true },
    anon => { anonymous => 'guest' },
    realm => { realm => 'gate' },
    basic => { header_type => 'Basic' },
    odd => { header_type => 'My.Type' },
    flat => { base_dn => 'dc=example,dc=test' },
    attribute => { attribute => 'cn' },
    short => { keepalive => 300, cache_ttl => 0 },
    name => { ldap_host => 'DIR.test', cache_ttl => 0 },
    unknown => { ldap_host => 'none.invalid' },
    ($ldap->six ? (six => { ldap_host => '::1' },
                   'six-name' => { ldap_host => 'six.test' }) : ()),
    %tls,
    (map { ("$_-name" => { %{ $tls{$_} }, verify_ldap_host => $true,
                           ldap_host => 'dir.test', cache_ttl => 0 },
            "$_-address" => { %{ $tls{$_} }, verify_ldap_host => $true },
            "$_-other" => { %{ $tls{$_} }, verify_ldap_host => $true,
                            ldap_host => 'other.test' }) }
     keys %tls),
    'ldaps-plain' => { ldaps => $true },
    refused => { ldap_port => free_port() },
    'refused-anon' => { ldap_port => free_port(), anonymous => 'guest' },
    (map { ($_ => { ldap_port => $bad{$_} + 0, cache_ttl => 0,
                    timeout => /^(silent|slow)$/ ? 400 : 10000 }) }
     keys %bad),
    waits => { ldap_port => $bad{slow} + 0, timeout => 10000,
               cache_ttl => 0 },
    never => { ldap_port => $bad{silent} + 0, timeout => 30000 },
    'silent-tls' => { ldap_port => $bad{silent} + 0, timeout => 400,
                      ldaps => $true },
    notls => { ldap_port => $bad{notls} + 0, start_tls => $true },
    inject => { ldap_port => $bad{inject} + 0, start_tls => $true },
);

my %base = (ldap_host => '127.0.0.1', ldap_port => $ldap->{port} + 0,
            base_dn => $ldap->{base}, attribute => 'uid');

my $config = {
    _format_version => '3.0',
    services => [ { name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [ map({ { name => $_, paths => ["/$_/"],
                            strip_path => $false,
                            plugins => [ { name => 'ldap-auth', config => {
                                %base, %{ $routes{$_} } } } ] } }
                        sort keys %routes),
                    { name => 'both', paths => ['/both/'], plugins => [
                        { name => 'ldap-auth', config => {
                            %base, anonymous => 'guest' } },
                        { name => 'key-auth', config => {
                            anonymous => 'guest' } } ] },
                    { name => 'open', paths => ['/open/'] } ] } ],
    consumers => [ { username => 'guest', custom_id => 'g' },
                   { username => 'keyed',
                     keyauth_credentials => [ { key => 'k' } ] } ]
};

my %node = (hosts => "127.0.0.1 dir.test other.test\n::1 six.test\n",
            config => $config, workers => 1);
my $node = node_start(%node, env => {
    KONG_NGINX_MAIN_ENV => "SSL_CERT_FILE=$dir/cert.pem",
    KONG_DNS_ORDER => 'LAST,SRV,A,AAAA,CNAME'
});

sub auth
{
    my ($user, $password, $type) = @_;

    return ($type || 'ldap') . ' ' . encode_base64("$user:$password", '');
}

# get(path, user, password, option => ...)
sub get
{
    my ($path, $user, $password, %o) = @_;

    return $node->get("/$path/", %o, headers => [
        (defined $user
         ? [ 'Authorization', auth($user, $password, $o{type}) ] : ()),
        @{ $o{headers} || [] } ]);
}

sub refused
{
    my ($a, $name, $challenge) = @_;

    is($a->status, 401, $name) or diag($a->body);
    is($a->json->{message}, 'Unauthorized', "$name: message");
    is($a->header('www-authenticate'), $challenge || 'LDAP',
       "$name: challenge");
}

sub fails
{
    my ($a, $name) = @_;

    is($a->status, 500, $name) or diag($a->body);
    is($a->json->{message}, 'An unexpected error occurred', "$name: message");
    is($a->header('www-authenticate'), undef, "$name: no challenge");
}

# --- who may pass

my $a = get('plain', 'bob', 's3cret');
is($a->status, 200, 'good credentials');
is($a->up('x-credential-identifier'), 'bob', 'identifier');
is($a->up('x-consumer-id'), undef, 'no consumer');
is($a->up('x-anonymous-consumer'), undef, 'not anonymous');
is($a->up('authorization'), auth('bob', 's3cret'), 'credentials go on');

$a = get('plain', 'bob', 's3cret', headers => [
    [ 'X-Consumer-Username', 'root' ], [ 'X-Consumer-ID', '1' ],
    [ 'X-Credential-Identifier', 'root' ], [ 'X-Anonymous-Consumer', 'x' ] ]);
is($a->up('x-credential-identifier'), 'bob', 'what a client says is removed');
is($a->up('x-consumer-username'), undef, 'the consumer too');
is($a->up('x-anonymous-consumer'), undef, 'and anonymous');

is(get('plain', $_, $users{$_})->status, 200, "user $_")
    for grep { !/^u\d/ } sort keys %users;
is(get('plain', "m\xc3\xbcller", $users{"m\xc3\xbcller"})
   ->up('x-credential-identifier'), "m\x{fc}ller", 'Unicode');

is(get('plain', 'bob', 's3cret', type => $_)->status, 200, "scheme $_")
    for 'LDAP', ' Ldap', "ldap  \t ";

$a = get('plain', undef, undef, headers => [
    [ 'Proxy-Authorization', auth('bob', 's3cret') ] ]);
is($a->status, 200, 'Proxy-Authorization');

$a = get('plain', 'colon', 'a:b:c', headers => [
    [ 'Proxy-Authorization', auth('bob', 's3cret') ] ]);
is($a->up('x-credential-identifier'), 'bob', 'it goes before Authorization');

$a = get('plain', 'bob', 's3cret', headers => [
    [ 'Proxy-Authorization', auth('bob', 'bad') ] ]);
is($a->status, 200, 'a bad one does not spoil a good Authorization');

$a = get('plain', 'bob', 's3cret', headers => [
    [ 'Proxy-Authorization', 'Basic x' ] ]);
is($a->status, 200, 'nor one of another scheme');

# --- who may not

refused(get('plain'), 'no header');

for my $case (
    [ 'a wrong password', 'bob', 'x' ],
    [ 'the password in capitals', 'bob', 'S3CRET' ],
    [ 'no such user', 'eve', 'x' ],
    [ 'no user', '', 's3cret' ],
    [ 'no password: an anonymous bind succeeds', 'bob', '' ],
    [ 'neither', '', '' ],
    [ 'a line end in the name', "bob\r\n", 's3cret' ],
    [ 'blanks of another kind', "bob\t", 's3cret' ],
    [ 'a NUL', "bob\0", 's3cret' ],
    [ 'a DN in the name', "bob,$ldap->{base}", 's3cret' ],
    [ 'the administrator', "x,cn=admin,dc=example,dc=test", 'admin' ],
    [ 'a filter', '*', 's3cret' ],
    [ 'not UTF-8', "\xff\xfe", 's3cret' ],
    [ 'a long name', 'b' x 4000, 's3cret' ],
    [ 'a long password', 'bob', 's3cret' x 600 ],
) {
    my ($name, @o) = @$case;
    refused(get('plain', @o), $name);
}

refused(get('flat', 'bob,ou=people', 's3cret'), 'a part of a DN');
refused(get('attribute', 'bob', 's3cret'), 'another attribute');

for my $value ('ldap', 'ldap ', 'ldap %%%', 'ldap Ym9i', 'ldapYm9iOnMzY3JldA==',
               'Basic Ym9iOnMzY3JldA==', 'ldap Ym9iOnMzY3JldA== x', 'x') {
    refused(get('plain', undef, undef, headers => [
        [ 'Authorization', $value ] ]), "Authorization: $value");
}

is(get('plain', 'bob', 'bad', headers => [
    [ 'Authorization', auth('bob', 's3cret') ] ])->status, 400,
   'Authorization twice');
refused(get('plain', undef, undef, headers => [
    map { [ 'Proxy-Authorization', $_ ] } auth('bob', 'bad'),
                                          auth('bob', 's3cret') ]),
        'Proxy-Authorization twice: the first counts');
refused(get('plain', 'bob', 'bad', headers => [
    [ 'Proxy-Authorization', auth('eve', 'bad') ] ]), 'both are bad');

# --- the fields

refused(get('realm'), 'realm', 'LDAP realm="gate"');
refused(get('basic'), 'header_type', 'Basic');
refused(get('basic', 'bob', 's3cret'), 'the default type', 'Basic');
is(get('basic', 'bob', 's3cret', type => 'basic')->status, 200, 'its type');
refused(get('odd'), 'a type with a dot', 'My.Type');
is(get('odd', 'bob', 's3cret', type => 'my.type')->status, 200, 'its type');
refused(get('odd', 'bob', 's3cret', type => 'myxtype'), 'a dot is a dot',
        'My.Type');

$a = get('hide', 'bob', 's3cret', headers => [
    [ 'Proxy-Authorization', 'Basic x' ] ]);
is($a->status, 200, 'hide_credentials');
is($a->up('authorization'), undef, 'Authorization is gone');
is($a->up('proxy-authorization'), undef, 'Proxy-Authorization too');

for my $case ([], [ 'bob', 'x' ], [ 'bob', '' ]) {
    $a = get('anon', @$case);
    is($a->status, 200, 'anonymous');
    is($a->up('x-consumer-username'), 'guest', 'the consumer');
    is($a->up('x-anonymous-consumer'), 'true', 'says so');
    is($a->up('x-credential-identifier'), undef, 'no identifier');
}

$a = get('anon', 'bob', 's3cret');
is($a->up('x-consumer-username'), undef, 'not with good credentials');
is($a->up('x-credential-identifier'), 'bob', 'they count');

$a = get('both', 'bob', 'x', headers => [ [ 'apikey', 'k' ] ]);
is($a->up('x-consumer-username'), 'keyed', 'one of two: the key');
$a = get('both', 'bob', 's3cret');
is($a->up('x-credential-identifier'), 'bob', 'one of two: the directory');
is(get('both')->up('x-consumer-username'), 'guest', 'none of two');

$a = get('plain', undef, undef, method => 'HEAD');
is($a->status, 401, 'HEAD');
is($a->body, '', 'HEAD: no body');
refused(get('plain', undef, undef, method => 'OPTIONS'), 'OPTIONS');
is(get('uncached', 'bob', 's3cret', method => 'OPTIONS')->status, 200,
   'OPTIONS with credentials');
$a = get('plain', undef, undef, headers => [ [ 'Accept', 'text/html' ] ]);
like($a->body, qr/<p>Unauthorized\.?/, 'an error of the type that is wanted');

my $body = 'x' x 300_000;
$a = get('uncached', 'bob', 's3cret', method => 'POST', body => $body);
is($a->status, 200, 'a body');
ok($a->json->{body} eq $body, 'arrives whole');

$a = $node->post_config({ _format_version => '3.0', plugins => [
    { name => 'ldap-auth', config => { %base, ldaps => $true,
                                       start_tls => $true } } ] });
is($a->status, 400, 'ldaps and start_tls');
is($node->post_config($config)->status, 201, 'the configuration again');

# --- what is remembered

sub binds { return $ldap->count('BIND dn="[^"]+" method=128') }

$ldap->mark;
get('uncached', 'bob', 's3cret') for 1 .. 5;
is(binds(), 5, 'cache_ttl 0: each request binds');
is($ldap->count('ACCEPT'), 0, 'on connections that were there');

$ldap->mark;
get('second', 'bob', 's3cret') for 1 .. 5;
is(binds(), 1, 'cache_ttl: one bind');
get('second', 'bob', 'bad') for 1 .. 3;
is(binds(), 4, 'bad ones are asked for again');
get('second', 'bob', 's3cret') for 1 .. 2;
is(binds(), 4, 'and spoil nothing');
nap(1.2);
get('second', 'bob', 's3cret');
is(binds(), 5, 'until its end');

$ldap->mark;
get('short', 'bob', 's3cret');
ok(wait_until(5, sub { $ldap->count('UNBIND') && $ldap->count('closed') }),
   'keepalive: an idle connection ends with an unbind');

# --- names

is(get('name', 'bob', 's3cret')->status, 200, 'ldap_host is a name');

SKIP: {
    skip('no IPv6 here', 2) if !$ldap->six;
    is(get('six', 'bob', 's3cret')->status, 200, 'an IPv6 address');
    is(get('six-name', 'bob', 's3cret')->status, 200, 'and by name');
}

fails(get('unknown', 'bob', 's3cret'), 'a name without an address');

# --- TLS

for my $kind (sort keys %tls) {
    is(get($kind, 'bob', 's3cret')->status, 200, $kind);
    refused(get($kind, 'bob', 'x'), "$kind: a wrong password");
    is(get("$kind-name", 'bob', 's3cret')->status, 200,
       "$kind: verified by name") for 1 .. 2;
    is(get("$kind-address", 'bob', 's3cret')->status, 200,
       "$kind: verified by address");
    fails(get("$kind-other", 'bob', 's3cret'), "$kind: another name");
}

$ldap->mark;
get('starttls-name', 'bob', 's3cret') for 1 .. 3;
is($ldap->count('STARTTLS'), 0, 'connections are kept with their TLS');
fails(get('ldaps-plain', 'bob', 's3cret'), 'TLS to a plain port');
fails(get('notls', 'bob', 's3cret'), 'StartTLS is refused');
fails(get('inject', 'bob', 's3cret'), 'an answer from before TLS');
like($node->error_log, qr/sends more than its answer to StartTLS/,
     'is found at once');

{
    my $other = node_start(%node);
    my @o = (headers => { Authorization => auth('bob', 's3cret') });

    for my $kind (sort keys %tls) {
        is($other->get("/$kind/", @o)->status, 200, "$kind: not verified");
        fails($other->get("/$kind-name/", @o), "$kind: not trusted");
    }

    is($other->stop, 1, 'the second node ends');
}

# --- servers that do not behave

fails(get('refused', 'bob', 's3cret'), 'nobody listens');
fails(get('refused-anon', 'bob', 's3cret'), 'that is no reason to be '
      . 'anonymous');
fails(get($_, 'bob', 's3cret'), "server: $_")
    for qw(closes half http huge otherid otherop notice silent silent-tls
           slow);
is(get('bytes', 'bob', 's3cret')->status, 200, 'an answer byte by byte');
refused(get('bytes', "bob$_", 's3cret'), sprintf('%02x in the name', ord($_)))
    for "\r\n", "\n", "\t", "\0", "\x7f";
refused(get('busy', 'bob', 's3cret'), 'another result');
is(get('once', 'bob', 's3cret')->status, 200,
   'a connection that ends when used again is replaced') for 1 .. 4;

my $t = now();
fails(get('silent', 'bob', 's3cret'), 'timeout');
cmp_ok(now() - $t, '<', 3, 'it is kept');

# others are served meanwhile
sub begin
{
    my ($path, $user, $password) = @_;
    my $c = KongHttp->connect($node->{proxy});

    $c->send("GET /$path/ HTTP/1.1\r\nHost: x\r\nAuthorization: "
             . auth($user, $password) . "\r\n\r\n");

    return $c;
}

my $c = begin('waits', 'bob', 's3cret');
$t = now();
is(get('open')->status, 200, 'others are served meanwhile');
cmp_ok(now() - $t, '<', 1, 'at once');
is($c->answer->status, 200, 'a slow server');

# --- clients that go

my $before = () = (slurp($gone) || '') =~ /gone/g;
$c = begin('never', 'bob', 's3cret');
nap(0.3);
$c->close;
ok(wait_until(5, sub { (() = slurp($gone) =~ /gone/g) > $before }),
   'a client that goes takes its bind with it');
is(get('plain', 'bob', 's3cret')->status, 200, 'nothing is harmed');

$c = begin('waits', 'bob', 's3cret');
$c->send("GET /open/ HTTP/1.1\r\nHost: x\r\n\r\n");
is($c->answer->status, 200, 'pipelined: the first');
is($c->answer->status, 200, 'pipelined: the second');

# --- many at once

$ldap->mark;
my $harmed = 0;
my @c = map { begin('uncached', "u$_", $_ % 2 ? "p$_" : 'bad') } 0 .. 63;
my @status = map { $_->answer->status } @c;
is("@status", join(' ', map { $_ % 2 ? 200 : 401 } 0 .. 63), '64 in parallel');
is(binds(), 64, 'each has its own');
@status = map { $c[$_]->send("GET /uncached/ HTTP/1.1\r\nHost: x\r\n"
                             . 'Authorization: ' . auth("u$_", "p$_")
                             . "\r\n\r\n"); $c[$_]->answer->status } 0 .. 63;
is(scalar(grep { $_ != 200 } @status), 0, 'and once more');

# some go at every point of their bind
for my $round (1 .. 20) {
    my $path = (qw(uncached ldaps-name starttls-name bytes))[$round % 4];

    @c = map { begin($path, "u$_", "p$_") } 0 .. 15;
    nap(rand(0.01));
    $c[$_]->close for grep { $_ % 3 } 0 .. 15;
    $harmed = grep { $_->answer->status != 200 }
              @c[grep { $_ % 3 == 0 } 0 .. 15];
    last if $harmed;
}

is($harmed, 0, 'clients that go harm no others');

# --- it goes, and comes back

is(get('plain', 'bob', 's3cret')->status, 200, 'known');
$ldap->stop;
is(get('plain', 'bob', 's3cret')->status, 200,
   'who is known passes without the server');
fails(get('plain', 'bob', 'other'), 'others do not');
fails(get('uncached', 'bob', 's3cret'), 'nor without a cache');
$ldap->start;
is(get('uncached', 'bob', 's3cret')->status, 200, 'it is back');
refused(get('uncached', 'bob', 'x'), 'and refuses');

# --- HTTP/2

SKIP: {
    my ($crc, $out) = run('curl', '-V');
    skip('no HTTP/2 in curl', 2) if $out !~ /HTTP2/;

    my $port = free_port();
    my $h2 = node_start(%node, env => {
        KONG_PROXY_LISTEN => "127.0.0.1:$port http2 ssl"
    });
    my @curl = ('curl', '-sk', '--http2', '-o', '/dev/null', '-w',
                '%{http_version} %{http_code}', '-H',
                'Authorization: ' . auth('bob', 's3cret'));

    (undef, $out) = run(@curl, "https://127.0.0.1:$port/uncached/");
    is($out, '2 200', 'HTTP/2');

    # the stream goes while its bind is under way
    run(@curl, '-m', 0.5, "https://127.0.0.1:$port/never/");
    (undef, $out) = run(@curl, "https://127.0.0.1:$port/uncached/");
    is($out, '2 200', 'HTTP/2: a stream that went');
    is($h2->stop, 1, 'the node ends');
}

# --- reload

$c = begin('waits', 'bob', 's3cret');
nap(0.2);
($rc) = $node->reload;
is($rc, 0, 'reload');
is($c->answer->status, 200, 'a bind under way ends well');
is(get('uncached', 'bob', 's3cret')->status, 200, 'the new worker binds');

# a new configuration while a bind is under way
$c = begin('waits', 'bob', 's3cret');
nap(0.2);
is($node->post_config({ _format_version => '3.0' })->status, 201,
   'without all that');
is($c->answer->status, 200, 'a request ends as it began');
is(get('plain', 'bob', 's3cret')->status, 404, 'the next does not');

unlike($node->error_log, qr/s3cret|czNjcmV0|open socket/,
       'no secret in the log');

finish();
