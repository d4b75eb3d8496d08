# jwt: where tokens are found, every algorithm, every field, and forgeries.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha384 hmac_sha512);
use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use MIME::Base64 qw(encode_base64 encode_base64url decode_base64url);
use Test::More;

my $upstream = echo_start();
my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $dir = temp_dir('keys');

# --- keys and tokens

my %genpkey = (
    rsa => [ 'RSA', 'rsa_keygen_bits:2048' ],
    p256 => [ 'EC', 'ec_paramgen_curve:P-256' ],
    p384 => [ 'EC', 'ec_paramgen_curve:P-384' ],
    p521 => [ 'EC', 'ec_paramgen_curve:P-521' ],
    ed => ['ED25519'],
);
my %pem;

for my $name (sort keys %genpkey) {
    my ($type, @opt) = @{ $genpkey{$name} };

    run('openssl', 'genpkey', '-algorithm', $type,
        (map { ('-pkeyopt', $_) } @opt), '-out', "$dir/$name.key");
    ($pem{$name}) = (run('openssl', 'pkey', '-in', "$dir/$name.key",
                         '-pubout'))[1];
    like($pem{$name}, qr/BEGIN PUBLIC KEY/, "a key: $name");
}

my %hs = (256 => \&hmac_sha256, 384 => \&hmac_sha384, 512 => \&hmac_sha512);
my %bytes = (256 => 32, 384 => 48, 512 => 66);

sub sign
{
    my ($alg, $key, $text) = @_;

    return $hs{$1}->($text, $key) if $alg =~ /^HS(\d+)/;

    spit("$dir/text", $text);

    my @cmd = ('openssl', 'pkeyutl', '-sign', '-rawin', '-in', "$dir/text",
               '-inkey', "$dir/$key.key", '-out', "$dir/signature");

    push @cmd, '-digest', "sha$1" if $alg =~ /^..(\d+)/;
    push @cmd, '-pkeyopt', 'rsa_padding_mode:pss', '-pkeyopt',
               'rsa_pss_saltlen:digest' if $alg =~ /^PS/;
    run(@cmd);

    my $raw = slurp("$dir/signature");

    return $raw if $alg !~ /^ES(\d+)/;

    # two DER integers to two numbers of fixed size
    my $n = $bytes{$1};
    my $at = ord(substr($raw, 1, 1)) & 0x80 ? 3 : 2;
    my $out = '';

    for (1 .. 2) {
        my $len = ord(substr($raw, $at + 1, 1));
        my $int = substr($raw, $at + 2, $len);

        $int =~ s/^\0+//;
        $out .= ("\0" x ($n - length $int)) . $int;
        $at += 2 + $len;
    }

    return $out;
}

# header and claims are data, or JSON text
sub token
{
    my ($header, $claims, $key, $alg) = @_;

    $header = { alg => $header, typ => 'JWT' } if !ref $header
                                                  && $header !~ /^\s*\{/;
    $alg ||= ref $header ? $header->{alg} : 'HS256';

    my $text = join('.', map { encode_base64url(ref $_ ? json_encode($_) : $_) }
                         $header, $claims);

    return "$text." . encode_base64url(sign($alg, $key, $text));
}

# --- the node

my %routes = (
    plain => {},
    names => { uri_param_names => [ 'tok', 't2' ], cookie_names => ['Session'],
               header_names => [ 'X-Token', 'authorization' ] },
    nowhere => { uri_param_names => [], header_names => [] },
    claim => { key_claim_name => 'kid' },
    quote => { key_claim_name => 'a"b' },
    b64 => { secret_is_base64 => $true },
    exp => { claims_to_verify => ['exp'] },
    nbf => { claims_to_verify => ['nbf'] },
    max => { claims_to_verify => ['exp'], maximum_expiration => 300 },
    anon => { anonymous => 'guest' },
    preflight => { run_on_preflight => $false },
    realm => { realm => 'gate' },
);

my @algs = ((map { "HS$_" } 256, 384, 512),
            (map { ("RS$_", "PS$_") } 256, 384, 512),
            'ES256', 'ES384', 'ES512', 'EdDSA');
my %key_of = (ES256 => 'p256', ES384 => 'p384', ES512 => 'p521',
              EdDSA => 'ed');

sub key_of
{
    my ($alg) = @_;

    return $alg =~ /^HS/ ? "secret-$alg" : $key_of{$alg} || 'rsa';
}

my $node = node_start(config => {
    _format_version => '3.0',
    services => [ { name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [
            (map { { name => $_, paths => ["/$_"],
                     plugins => [ { name => 'jwt',
                                    config => $routes{$_} } ] } }
             sort keys %routes),
            { name => 'or', paths => ['/or'], plugins => [
                map { { name => $_, config => { anonymous => 'guest' } } }
                    qw(jwt key-auth) ] },
        ] } ],
    consumers => [
        { username => 'alice', custom_id => 'a-1',
          keyauth_credentials => [ { key => 'k-alice' } ],
          jwt_secrets => [
            { key => 'a', secret => 's3cret' },
            { key => "\x{fc}ber", secret => "s\x{e9}cret" },
            { key => 'b64', secret => encode_base64("\x00\xff\xfe bin", '') },
            { key => 'b64u', secret => encode_base64url("\xfb\xff\xfe") },
            { key => 'b64bad', secret => 'no base64!' },
            (map { { key => "k-$_", algorithm => $_, secret => "secret-$_",
                     /^HS/ ? () : (rsa_public_key => $pem{key_of($_)}) } }
             @algs),
            { key => 'es-no-key', algorithm => 'ES256' },
            { key => 'es-bad-key', algorithm => 'ES256',
              rsa_public_key => 'nonsense' },
            { key => 'rs-ec-key', algorithm => 'RS256',
              rsa_public_key => $pem{p256} },
            { key => 'es-rsa-key', algorithm => 'ES256',
              rsa_public_key => $pem{rsa} },
            { key => 'es-p384-key', algorithm => 'ES256',
              rsa_public_key => $pem{p384} },
          ] },
        { username => 'guest' },
    ]
});

sub bearer { return [ Authorization => "Bearer $_[0]" ] }

sub try
{
    my ($path, @headers) = @_;

    return $node->get($path, headers => \@headers);
}

sub refused
{
    my ($a, $message, $name, $challenge) = @_;

    is($a->status, 401, $name);
    is_deeply($a->json, ref $message ? $message : { message => $message },
              "$name: body") or diag($a->body);
    is($a->header('www-authenticate'),
       $challenge || 'Bearer error="invalid_token"', "$name: challenge");
}

my $good = token('HS256', { iss => 'a' }, 's3cret');

# --- where

my $a = try('/plain', bearer($good));
is($a->status, 200, 'Authorization');
is($a->up('x-consumer-username'), 'alice', 'consumer');
is($a->up('x-consumer-custom-id'), 'a-1', 'custom id');
is($a->up('x-credential-identifier'), 'a', 'credential: its key');
is($a->up('x-anonymous-consumer'), undef, 'known');
is($a->up('authorization'), "Bearer $good", 'goes on');

is(try('/plain', [ Authorization => "bearer   $good" ])->status, 200,
   'a small letter, blanks');
is(try("/plain?jwt=$good")->status, 200, 'query');
is(try("/plain?a=b&jwt=$good&jwt=")->status, 200, 'query: and an empty one');
is(try("/plain?jwt=$good&jwt=$good")->status, 200, 'query: twice the same');
is(try("/plain?jwt=$good", bearer($good))->status, 200, 'in both places');
is(try('/names?tok=' . $good)->status, 200, 'own query name');
is(try('/names?t2=' . $good)->status, 200, 'second query name');
is(try('/names', [ Cookie => "a=b; session=$good; c=d" ])->status, 200,
   'cookie');
is(try('/names', [ Cookie => 'a=b' ], [ Cookie => "Session=$good" ])->status,
   200, 'cookie in the second header');
is(try('/names', [ 'x-token' => "Bearer $good" ])->status, 200, 'own header');

my $other = token('HS256', { iss => 'a', n => 2 }, 's3cret');

for my $case (
    [ 'no token', '/plain' ],
    [ 'empty', '/plain', [ Authorization => '' ] ],
    [ 'no token in it', '/plain', [ Authorization => 'Bearer' ] ],
    [ 'another scheme', '/plain', [ Authorization => 'Basic YTpi' ] ],
    [ 'no scheme', '/plain', [ Authorization => $good ] ],
    [ 'upper case', '/plain', [ Authorization => "BEARER $good" ] ],
    [ 'empty argument', '/plain?jwt=' ],
    [ 'another argument', "/plain?token=$good" ],
    [ 'cookies are off', '/plain', [ Cookie => "jwt=$good" ] ],
    [ 'the default name is not', "/names?jwt=$good" ],
    [ 'no place at all', "/nowhere?jwt=$good", bearer($good) ],
) {
    my ($name, @request) = @$case;
    refused(try(@request), 'Unauthorized', $name, 'Bearer');
}

refused(try("/plain?jwt=$other", bearer($good)), 'Multiple tokens provided',
        'two tokens');
refused(try("/plain?jwt=$other&jwt=$good"), 'Multiple tokens provided',
        'two arguments');
is(try('/plain', bearer($good), bearer($good))->status, 400,
   'doubled Authorization');

# --- algorithms

for my $alg (@algs) {
    my $t = token($alg, { iss => "k-$alg" }, key_of($alg));
    my ($h, $c, $s) = split(/\./, $t);
    my $sig = decode_base64url($s);

    is(try('/plain', bearer($t))->status, 200, $alg);
    is(try('/plain', bearer($t))->status, 200, "$alg: again");

    substr($sig, 5, 1) ^= "\x10";
    refused(try('/plain', bearer("$h.$c." . encode_base64url($sig))),
            'Invalid signature', "$alg: changed");
    refused(try('/plain', bearer("$h.$c."
                . encode_base64url(substr(decode_base64url($s), 0, -1)))),
            'Invalid signature', "$alg: truncated");
    refused(try('/plain', bearer("$h.$c.")), 'Invalid signature',
            "$alg: none at all");
    refused(try('/plain', bearer(join('.', $h, encode_base64url(
                json_encode({ iss => "k-$alg", admin => 1 })), $s))),
            'Invalid signature', "$alg: other claims");
}

# --- confusion

for my $alg (grep { !/^HS/ } @algs) {
    refused(try('/plain', bearer(token('HS256', { iss => "k-$alg" },
                                       $pem{key_of($alg)}))),
            'Invalid algorithm', "the public key of $alg as a secret");
}

refused(try('/plain', bearer(token('RS256', { iss => 'a' }, 'rsa'))),
        'Invalid algorithm', 'RS256 for a secret');
refused(try('/plain', bearer(token('PS256', { iss => 'k-RS256' }, 'rsa'))),
        'Invalid algorithm', 'PS256 for RS256');
refused(try('/plain', bearer(token('HS512', { iss => 'a' }, 's3cret'))),
        'Invalid algorithm', 'HS512 for HS256');
refused(try('/plain', bearer(token('{"alg":"RS256"}', { iss => 'k-RS256' },
                                   'rsa', 'PS256'))),
        'Invalid signature', 'says RS256 and is PS256');
refused(try('/plain', bearer(token('{"alg":"RS256"}', { iss => 'rs-ec-key' },
                                   'p256', 'EC256'))),
        'Invalid signature', 'a key of another type');
refused(try('/plain', bearer(token('{"alg":"ES256"}', { iss => 'es-rsa-key' },
                                   'rsa', 'RS256'))),
        'Invalid signature', 'a key of another type, too');
refused(try('/plain', bearer(token('{"alg":"ES256"}',
                                   { iss => 'es-p384-key' }, 'p384',
                                   'ES384'))),
        'Invalid signature', 'a key on another curve');
refused(try('/plain', bearer(token('ES256', { iss => 'es-no-key' }, 'p256'))),
        'Invalid key/secret', 'no key');
refused(try('/plain', bearer(token('ES256', { iss => 'es-bad-key' }, 'p256'))),
        'Invalid key/secret', 'no PEM');

for my $alg ('none', 'None', '', 'HS', 'hs256', 'HS1', 'HS2560', 'ES256K') {
    refused(try('/plain', bearer(token({ alg => $alg }, { iss => 'a' },
                                       's3cret', 'HS256'))),
            'Bad token; invalid alg', "alg \"$alg\"");
}

my $none = join('.', map { encode_base64url($_) } '{"alg":"none"}',
                '{"iss":"a"}', '');
refused(try('/plain', bearer($none)), 'Bad token; invalid alg', 'alg none');

# --- malformed

my ($h, $c, $s) = split(/\./, $good);

for my $case (
    [ 'one part', 'abc', 'invalid JSON' ],
    [ 'two parts', "$h.$c", 'invalid JSON' ],
    [ 'four parts', "$good.x", 'invalid signature' ],
    [ 'dots', '..', 'invalid JSON' ],
    [ 'padding', "$h=.$c.$s", 'invalid JSON' ],
    [ 'padded signature', "$h.$c.$s=", 'invalid signature' ],
    [ 'text behind', "$good x", 'invalid signature' ],
    [ 'bad base64', "$h.%%%.$s", 'invalid JSON' ],
    [ 'no JSON', token('HS256', 'iss', 's3cret'), 'invalid JSON' ],
    [ 'a list', token('HS256', '["iss"]', 's3cret'), 'invalid claims' ],
    [ 'null', token('HS256', 'null', 's3cret'), 'invalid claims' ],
    [ 'doubled claim', token('HS256', '{"iss":"x","iss":"a"}', 's3cret'),
      'invalid JSON' ],
    [ 'doubled, escaped', token('HS256', '{"iss":"x","\u0069ss":"a"}',
                                's3cret'), 'invalid JSON' ],
    [ 'doubled alg', token('{"alg":"none","alg":"HS256"}', { iss => 'a' },
                           's3cret'), 'invalid JSON' ],
    [ 'a NUL', token('HS256', '{"iss":"a\u0000b"}', 's3cret'),
      'invalid JSON' ],
    [ 'crit', token({ alg => 'HS256', crit => ['x'] }, { iss => 'a' },
                    's3cret'), 'invalid crit' ],
    [ 'many members', token('HS256', { iss => 'a', map { $_ => 1 } 1 .. 400 },
                            's3cret'), 'invalid JSON' ],
    [ 'deep', token('HS256', '{"iss":"a","x":' . '[' x 1500 . ']' x 1500 . '}',
                    's3cret'), 'invalid JSON' ],
) {
    my ($name, $t, $message) = @$case;
    refused(try('/plain', bearer($t)), "Bad token; $message", $name);
}

my $huge = token('HS256', { iss => 'a', x => 'y' x 20_000 }, 's3cret');
is(try('/plain', bearer($huge))->status, 400, 'larger than a header may be');

my $large = token('HS256', { iss => 'a', x => 'y' x 4000 }, 's3cret');
is(try('/plain', bearer($large))->status, 200, 'large, but not too large');

# --- the claim that names the credential

refused(try('/plain', bearer(token('HS256', {}, 's3cret'))),
        "No mandatory 'iss' in claims", 'no iss');
refused(try('/plain', bearer(token('HS256', '{"iss":null}', 's3cret'))),
        "No mandatory 'iss' in claims", 'iss: null');
refused(try('/plain', bearer(token('HS256', { iss => '' }, 's3cret'))),
        "Invalid 'iss' in claims", 'iss: empty');

for my $iss ('1', '["a"]', '{"a":1}', 'true') {
    refused(try('/plain', bearer(token('HS256', "{\"iss\":$iss}", 's3cret'))),
            "Invalid 'iss' in claims", "iss: $iss");
}

refused(try('/plain', bearer(token('HS256', { iss => 'nobody' }, 's3cret'))),
        "No credentials found for given 'iss'", 'unknown');
refused(try('/plain', bearer(token('HS256', { iss => 'A' }, 's3cret'))),
        "No credentials found for given 'iss'", 'of another case');
is(try('/plain', bearer(token({ alg => 'HS256', iss => 'a' }, {}, 's3cret')))
   ->status, 200, 'iss in the header');
is(try('/claim', bearer(token({ alg => 'HS256', kid => 'a' }, {}, 's3cret')))
   ->status, 200, 'kid in the header');
is(try('/claim', bearer(token({ alg => 'HS256', kid => 'nobody' },
                              { kid => 'a' }, 's3cret')))->status, 200,
   'the claims come first');
refused(try('/claim', bearer($good)), "No mandatory 'kid' in claims",
        'another name');
refused(try('/quote', bearer($good)), "No mandatory 'a\"b' in claims",
        'a name with a quote');
is(try('/plain', bearer(token('HS256', { iss => "\x{fc}ber" },
                              "s\xc3\xa9cret")))->status, 200, 'Unicode');
is(try('/plain', bearer(token('HS256', '{"iss":"\u00fcber"}',
                              "s\xc3\xa9cret")))->status, 200,
   'Unicode, escaped');

# --- secret_is_base64

is(try('/b64', bearer(token('HS256', { iss => 'b64' }, "\x00\xff\xfe bin")))
   ->status, 200, 'a binary secret');
is(try('/b64', bearer(token('HS256', { iss => 'b64u' }, "\xfb\xff\xfe")))
   ->status, 200, 'in the other alphabet');
refused(try('/b64', bearer(token('HS256', { iss => 'b64bad' }, 'x'))),
        'Invalid key/secret', 'not base64');
refused(try('/plain', bearer(token('HS256', { iss => 'b64' },
                                   "\x00\xff\xfe bin"))),
        'Invalid signature', 'and elsewhere it is text');
is(try('/b64', bearer(token('RS256', { iss => 'k-RS256' }, 'rsa')))->status,
   200, 'keys in PEM are not meant');

# --- claims_to_verify

my $now = time();

for my $case (
    [ exp => { exp => $now + 60 }, undef ],
    [ exp => { exp => $now - 1 }, { exp => 'token expired' } ],
    [ exp => { exp => $now - 1, nbf => $now + 60 },
      { exp => 'token expired' } ],
    [ exp => { exp => "$now" }, { exp => 'must be a number' } ],
    [ exp => {}, { exp => 'must be a number' } ],
    [ exp => { exp => -1 }, { exp => 'token expired' } ],
    [ nbf => { nbf => $now - 60 }, undef ],
    [ nbf => { nbf => $now + 60 }, { nbf => 'token not valid yet' } ],
    [ nbf => {}, { nbf => 'must be a number' } ],
    [ max => { exp => $now + 200 }, undef ],
    [ max => { exp => $now + 400 },
      { exp => 'exceeds maximum allowed expiration' } ],
    [ max => { exp => $now - 1 }, { exp => 'token expired' } ],
    [ max => {}, { exp => 'must be a number' } ],
    [ plain => { exp => $now - 1, nbf => $now + 60 }, undef ],
) {
    my ($path, $claims, $body) = @$case;
    my $t = token('HS256', { iss => 'a', map { $_ => $claims->{$_} }
                             keys %$claims }, 's3cret');
    my $name = "$path " . json_encode($claims);

    if (defined $body) {
        refused(try("/$path", bearer($t)), $body, $name);

    } else {
        is(try("/$path", bearer($t))->status, 200, $name);
    }
}

refused(try('/exp', bearer(token('HS256', '{"iss":"a","exp":1e999}',
                                 's3cret'))),
        { exp => 'must be a number' }, 'exp: infinite');

# --- anonymous, preflight, realm, methods

$a = try('/anon', bearer($none));
is($a->status, 200, 'anonymous');
is($a->up('x-consumer-username'), 'guest', 'as the guest');
is($a->up('x-anonymous-consumer'), 'true', 'says so');
is($a->up('x-credential-identifier'), undef, 'no credential');
$a = try('/anon', bearer($good), [ 'X-Consumer-Username' => 'root' ],
         [ 'X-Anonymous-Consumer' => 'true' ]);
is($a->up('x-consumer-username'), 'alice', 'known, spoofing nothing');
is($a->up('x-anonymous-consumer'), undef, 'known');
is(try('/or', [ apikey => 'k-alice' ])->up('x-consumer-username'), 'alice',
   'OR: the other one');
is(try('/or', bearer($good))->up('x-credential-identifier'), 'a', 'OR');
is(try('/or')->up('x-consumer-username'), 'guest', 'OR: none');

is($node->get('/preflight', method => 'OPTIONS')->status, 200, 'preflight');
is($node->get('/preflight')->status, 401, 'and nothing else');
is($node->get('/plain', method => 'OPTIONS')->status, 401,
   'preflight is the exception');
$a = $node->get('/plain', method => 'HEAD');
is($a->status, 401, 'HEAD');
is($a->header('www-authenticate'), 'Bearer', 'HEAD: challenge');
refused(try('/realm'), 'Unauthorized', 'realm', 'Bearer realm="gate"');
refused(try('/realm', bearer('x')), 'Bad token; invalid JSON', 'realm',
        'Bearer realm="gate" error="invalid_token"');

$a = try('/plain', [ Accept => 'text/html' ]);
is($a->header('content-type'), 'application/json; charset=utf-8',
   'JSON whatever is accepted');
is($a->body, '{"message":"Unauthorized"}', 'compact');

finish();
