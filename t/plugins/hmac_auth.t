# hmac-auth: what is signed, every field of its configuration, and what
# clients get wrong.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha1 hmac_sha256 hmac_sha384 hmac_sha512 sha256);
use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use MIME::Base64 qw(encode_base64);
use POSIX qw(strftime);
use Test::More;

my $upstream = echo_start();
my ($true, $false) = (JSON::PP::true(), JSON::PP::false());

my %routes = (
    plain => {},
    hide => { hide_credentials => $true },
    skew => { clock_skew => 5 },
    enforce => { enforce_headers => [ 'date', '@request-target' ] },
    sha256 => { algorithms => [ 'hmac-sha256', 'hmac-sha512' ] },
    body => { validate_request_body => $true },
    bodyanon => { validate_request_body => $true, anonymous => 'guest' },
    bodyhide => { validate_request_body => $true,
                  hide_credentials => $true },
    anon => { anonymous => 'guest' },
    realm => { realm => 'gate' },
);

my $node = node_start(config => {
    _format_version => '3.0',
    services => [ { name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [ map { { name => $_, paths => ["/$_"],
                            strip_path => $false,
                            plugins => [ { name => 'hmac-auth',
                                           config => $routes{$_} } ] } }
                    sort keys %routes ] } ],
    consumers => [
        { username => 'bob', custom_id => 'b-1', hmacauth_credentials => [
            { username => 'bob', secret => 's3cret' },
            { username => "m\x{fc}ller", secret => "\x{20ac}uro" } ] },
        { username => 'guest' },
    ]
});

my %hmac = (
    'hmac-sha1' => \&hmac_sha1, 'hmac-sha256' => \&hmac_sha256,
    'hmac-sha384' => \&hmac_sha384, 'hmac-sha512' => \&hmac_sha512
);

sub date
{
    my ($offset) = @_;

    return strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time() + $offset));
}

# try(path, option => ...): signs and sends
#   sign      the list of headers (date)
#   lines     their lines, where they are not the obvious ones
#   alg, user, secret, offset (of the date), date (the header's name)
#   auth      another Authorization header; undef: none
#   proxy     1: as Proxy-Authorization
#   extra     more headers
#   method, body
sub try
{
    my ($path, %o) = @_;
    my $date = date($o{offset} || 0);
    my $name = exists $o{date} ? $o{date} : 'Date';
    my $sign = defined $o{sign} ? $o{sign} : 'date';
    my $alg = $o{alg} || 'hmac-sha256';
    my $method = $o{method} || 'GET';
    my %value = ((defined $name ? (lc $name => $date) : ()),
                 map { lc $_->[0] => $_->[1] } @{ $o{extra} || [] });

    my $text = defined $o{text} ? $o{text} : join("\n", map {
        my $n = lc $_;

        $_ eq 'request-line' ? "$method $path HTTP/1.1"
        : $_ eq '@request-target' ? "$_: " . lc($method) . " $path"
        : exists $value{$n} ? "$_: $value{$n}" : "$_:"
    } split(/ /, $sign));

    my $user = defined $o{user} ? $o{user} : 'bob';
    my $secret = defined $o{secret} ? $o{secret} : 's3cret';
    my $code = $hmac{$alg} || \&hmac_sha256;
    my $signature = encode_base64($code->($text, $secret), '');

    $signature = $o{signature}->($signature) if $o{signature};

    my $auth = exists $o{auth} ? $o{auth}
        : "hmac username=\"$user\", algorithm=\"$alg\", headers=\"$sign\", "
          . "signature=\"$signature\"";
    my @headers = @{ $o{extra} || [] };

    push @headers, [ $name => $date ] if defined $name;
    push @headers, [ ($o{proxy} ? 'Proxy-Authorization' : 'Authorization'),
                     $auth ] if defined $auth;

    return $node->get($path, method => $method, headers => \@headers,
                      defined $o{body} ? (body => $o{body}) : ());
}

my $invalid = 'HMAC signature cannot be verified';
my $wrong = 'HMAC signature does not match';
my $date = "$invalid, a valid date or x-date header is required for HMAC "
           . 'Authentication';

sub refused
{
    my ($a, $message, $name) = @_;

    is($a->status, 401, $name);
    is($a->json->{message}, $message, "$name: message") or diag($a->body);
    is($a->header('www-authenticate'), 'hmac', "$name: challenge");
}

# --- what is signed

my $a = try('/plain');
is($a->status, 200, 'the date');
is($a->up('x-consumer-username'), 'bob', 'consumer');
is($a->up('x-consumer-custom-id'), 'b-1', 'custom id');
is($a->up('x-credential-identifier'), 'bob', 'credential');
like($a->up('authorization'), qr/^hmac username="bob"/, 'goes on');

is(try('/plain', date => 'X-Date', sign => 'x-date')->status, 200, 'X-Date');
is(try('/plain', sign => 'Date')->status, 200, 'as it is written');
is(try('/plain', sign => 'date host x-none',
       text => 'date: ' . date(0) . "\nhost: 127.0.0.1:$node->{proxy}\n"
               . 'x-none:')->status, 200, 'several, one is missing');
is(try('/plain', sign => 'date x-empty', extra => [ [ 'X-Empty', '' ] ],
       text => 'date: ' . date(0) . "\nx-empty: ")->status, 200,
   'an empty one');
is(try('/plain', sign => 'date x-a', extra => [ [ 'X-A', 'one' ],
                                                [ 'X-A', 'two' ] ],
       text => 'date: ' . date(0) . "\nx-a: one")->status, 200,
   'of several, the first');
is(try('/plain?a=b&c=%20', sign => 'date request-line')->status, 200,
   'request-line');
is(try('/plain?a=b', sign => 'date @request-target', method => 'POST')
   ->status, 200, '@request-target');
is(try('/plain/%7Ex/../y', sign => '@request-target date')->status, 200,
   'the path as it was sent');

for my $alg (sort keys %hmac) {
    is(try('/plain', alg => $alg)->status, 200, $alg);
    refused(try('/plain', alg => $alg, secret => 'other'), $wrong,
            "$alg: another secret");
}

is(try('/plain', user => "m\xc3\xbcller", secret => "\xe2\x82\xacuro")
   ->status, 200, 'Unicode');
is(try('/plain', proxy => 1)->status, 200, 'Proxy-Authorization');
is(try('/plain', extra => [ [ 'Proxy-Authorization', 'Basic x' ] ])->status,
   200, 'of another scheme: Authorization');

# --- what is wrong

refused(try('/plain', auth => undef), 'Unauthorized', 'no header');

for my $case (
    [ 'text', signature => sub { 'nonsense' } ],
    [ 'not base64', signature => sub { '%%%' } ],
    [ 'truncated', signature => sub { substr($_[0], 0, 40) . '=' } ],
    [ 'a byte less', signature => sub { substr($_[0], 0, 40) } ],
    [ 'longer', signature => sub { encode_base64('x' x 200, '') } ],
    [ 'another text', text => 'date: yesterday' ],
    [ 'another path', sign => 'date request-line',
      text => 'date: ' . date(0) . "\nGET /other HTTP/1.1" ],
    [ 'without the query', sign => 'date @request-target',
      text => 'date: ' . date(0) . "\n\@request-target: post /plain" ],
) {
    my ($name, @o) = @$case;
    refused(try('/plain?x=1', @o), $wrong, $name);
}

my $sig = encode_base64('x' x 32, '');

for my $case (
    [ 'unknown user', user => 'nobody' ],
    [ 'user of other case', user => 'Bob' ],
    [ 'unknown algorithm', alg => 'hmac-md5' ],
    [ 'algorithm in capitals', alg => 'HMAC-SHA256' ],
    [ 'another scheme', auth => 'Basic YTpi' ],
    [ 'in capitals', auth => "HMAC username=\"bob\", algorithm="
                             . "\"hmac-sha256\", headers=\"date\", "
                             . "signature=\"$sig\"" ],
    [ 'nothing', auth => 'hmac' ],
    [ 'no signature', auth => 'hmac username="bob", algorithm="hmac-sha256", '
                              . 'headers="date"' ],
    [ 'no username', auth => 'hmac algorithm="hmac-sha256", headers="date", '
                             . "signature=\"$sig\"" ],
    [ 'another order', auth => 'hmac algorithm="hmac-sha256", username="bob",'
                               . " headers=\"date\", signature=\"$sig\"" ],
    [ 'no quotes', auth => 'hmac username=bob, algorithm=hmac-sha256, '
                           . "headers=date, signature=$sig" ],
    [ 'an open quote', auth => 'hmac username="bob' ],
    [ 'a long one', auth => 'hmac username="' . 'b' x 6000 ],
) {
    my ($name, @o) = @$case;
    refused(try('/plain', @o), $invalid, $name);
}

refused(try('/plain', sign => join(' ', ('x-big') x 400),
            extra => [ [ 'X-Big', 'x' x 4000 ] ]), $wrong,
        'a list that grows beyond what is signed');
is(try('/plain', extra => [ [ Authorization => 'hmac x' ] ])->status, 400,
   'doubled Authorization');

# --- the date

refused(try('/plain', date => undef), $date, 'no date');
refused(try('/plain', date => undef, extra => [ [ Date => 'today' ] ]), $date,
        'no date in it');
refused(try('/plain', offset => -400), $date, 'too old');
refused(try('/plain', offset => 400), $date, 'of the future');
is(try('/plain', offset => -250)->status, 200, 'within the default');
refused(try('/skew', offset => -60), $date, 'clock_skew');
is(try('/skew', offset => 1)->status, 200, 'within');
is(try('/plain', extra => [ [ 'X-Date', 'nonsense' ] ])->status, 200,
   'a bad X-Date leaves it to Date');

# --- configuration

is(try('/enforce', sign => 'date @request-target')->status, 200, 'enforced');
refused(try('/enforce', sign => 'date'), $invalid, 'one enforced is missing');
refused(try('/enforce', sign => 'Date @request-target'), $invalid,
        'of another case');
is(try('/sha256')->status, 200, 'algorithms');
refused(try('/sha256', alg => 'hmac-sha1'), $invalid, 'one that is not');

$a = try('/hide');
is($a->status, 200, 'hide');
is($a->up('authorization'), undef, 'hidden');
$a = try('/hide', proxy => 1);
is($a->up('proxy-authorization'), undef, 'hidden, the other one');

is(try('/realm', auth => undef)->header('www-authenticate'),
   'hmac realm="gate"', 'realm');

$a = try('/anon', secret => 'x');
is($a->status, 200, 'anonymous');
is($a->up('x-consumer-username'), 'guest', 'as the guest');
is($a->up('x-anonymous-consumer'), 'true', 'says so');
$a = try('/anon', extra => [ [ 'X-Consumer-ID' => 'x' ],
                             [ 'X-Anonymous-Consumer' => 'true' ] ]);
is($a->up('x-consumer-username'), 'bob', 'known');
is($a->up('x-anonymous-consumer'), undef, 'known: spoofed header removed');

# --- validate_request_body

sub digest { return [ Digest => 'SHA-256=' . encode_base64(sha256($_[0]), '') ] }

for my $size (1, 100, 20_000, 300_000) {
    my $body = join('', map { chr(32 + $_ * 7 % 90) } 1 .. $size);
    my %o = (method => 'POST', sign => 'date digest', body => $body);

    $a = try('/body', %o, extra => [ digest($body) ]);
    is($a->status, 200, "digest: $size bytes");
    is($a->json->{body}, $body, "digest: $size bytes go on");
    refused(try('/body', %o, extra => [ digest("$body ") ]), $wrong,
            "digest of another body: $size bytes");
    refused(try('/body', %o, sign => 'date'), $wrong,
            "no digest: $size bytes");
}

is(try('/body')->status, 200, 'no body, no digest');
is(try('/body', extra => [ digest('') ])->status, 200, 'no body, its digest');
refused(try('/body', extra => [ digest('x') ]), $wrong,
        'no body, another digest');
refused(try('/body', extra => [ [ Digest => 'SHA-512=x' ] ]), $wrong,
        'another digest algorithm');
refused(try('/body', method => 'POST', body => 'x', secret => 'x',
            extra => [ digest('x') ]), $wrong, 'a wrong signature comes first');

$a = try('/bodyhide', method => 'POST', body => 'abc',
         extra => [ digest('abc') ]);
is($a->status, 200, 'digest and hide');
is($a->up('authorization'), undef, 'hidden');
$a = try('/bodyanon', method => 'POST', body => 'abc',
         extra => [ digest('x') ]);
is($a->up('x-consumer-username'), 'guest', 'a wrong digest: anonymous');
is($a->json->{body}, 'abc', 'its body goes on');

# chunked
my $c = KongHttp->connect($node->{proxy});
my $now = date(0);
my $signature = encode_base64(hmac_sha256("date: $now", 's3cret'), '');
my $head = "POST /body HTTP/1.1\r\nHost: a\r\nDate: $now\r\n"
           . 'Authorization: hmac username="bob", algorithm="hmac-sha256", '
           . "headers=\"date\", signature=\"$signature\"\r\n"
           . "Transfer-Encoding: chunked\r\n";
my $chunks = "\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";

$c->send($head . join(': ', @{ digest('abcde') }) . "\r\n$chunks");
$a = $c->answer;
is($a->status, 200, 'chunked');
is($a->json->{body}, 'abcde', 'goes on');
$c->send($head . join(': ', @{ digest('abcd') }) . "\r\n$chunks");
is($c->answer->status, 401, 'chunked: another digest');

# --- methods and error bodies

is(try('/plain', auth => undef, method => 'OPTIONS')->status, 401, 'OPTIONS');
is(try('/plain', auth => undef, method => 'HEAD')->status, 401, 'HEAD');
is(try('/plain', method => 'HEAD', sign => 'date request-line')->status, 200,
   'HEAD: signed');
like(try('/plain', auth => undef, extra => [ [ Accept => 'text/plain' ] ])
     ->body, qr/^Unauthorized\nrequest_id: /, 'the body as plain text');

finish();
