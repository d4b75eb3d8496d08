# Certificates by the name that a client asks for: which one is shown, what
# is shown of it, and when it changes.

use strict;
use warnings;

use KongCert;
use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $ca = cert_make(cn => 'ca.test', is_ca => 1);
my %c = (
    (map { $_ => cert_make(cn => "$_.cn") } qw(exact new second)),
    (map { $_ => cert_make(cn => "$_.cn", type => 'ec') }
     qw(suffix prefix any alt)),
    chained => cert_make(cn => 'chained.cn', ca => $ca),
    old => cert_expired(cn => 'old.cn'),
);

sub id { return sprintf('00000000-0000-4000-8000-%012d', $_[0]) }

# certificate(number, name, SNIs...)
sub certificate
{
    my ($n, $name, @snis) = @_;

    return { id => id($n), cert => $c{$name}{cert}, key => $c{$name}{key},
             snis => [ map { { name => $_ } } @snis ] };
}

sub config
{
    my (@certificates) = @_;

    return {
        _format_version => '3.0',
        certificates => \@certificates,
        services => [ { name => 'echo', url => "http://127.0.0.1:$upstream",
            routes => [
                { name => 'any', paths => [ '/any' ] },
                { name => 'sni', paths => [ '/sni' ],
                  protocols => [ 'https' ], snis => [ 'a.test' ] } ] } ],
    };
}

my $chained = certificate(5, 'chained', 'chained.test');
$chained->{cert} .= $ca->{cert};

my $both = certificate(6, 'exact', 'both.test');
$both->{cert_alt} = $c{alt}{cert};
$both->{key_alt} = $c{alt}{key};

my @all = (
    certificate(1, 'exact', 'a.test', 'www.a.test', 'Upper.Test'),
    certificate(2, 'suffix', '*.a.test'),
    certificate(3, 'prefix', 'www.*', 'deep.name.*'),
    certificate(4, 'old', 'old.test'),
    $chained, $both
);

my $h2 = free_port();
my $node = node_start(workers => 2, config => config(@all), env => {
    KONG_NGINX_PROXY_LISTEN => "127.0.0.1:$h2 ssl http2" });
my $port = $node->{proxy_ssl};

sub shown
{
    my ($sni, @args) = @_;

    return cert_shown($port, sni => $sni, args => \@args)->{cn};
}

my $default = shown(undef);

like($default, qr/\S/, 'without a name: the default certificate');
unlike($default, qr/\.cn$/, 'which is none of the entities');

for my $case (
    [ 'a.test', 'exact.cn' ],
    [ 'A.TEST', 'exact.cn', 'in any case' ],
    [ 'upper.test', 'exact.cn', 'an SNI in capitals' ],
    [ 'www.a.test', 'exact.cn', 'the name before wildcards' ],
    [ 'b.a.test', 'suffix.cn' ],
    [ 'c.b.a.test', $default, 'a wildcard is one label' ],
    [ 'www.b', 'prefix.cn' ],
    [ 'www.b.test', $default, 'at the end, too' ],
    [ 'deep.name.test', 'prefix.cn' ],
    [ 'old.test', 'old.cn', 'an expired one is shown as it is' ],
    [ 'other.test', $default ],
    [ 'chained.test', 'chained.cn' ])
{
    my ($sni, $cn, $why) = @$case;

    is(shown($sni), $cn, "$sni: " . ($why || $cn));
}

is(cert_shown($port, sni => 'chained.test')->{n}, 2, 'with its chain');
is(cert_shown($port, sni => 'a.test')->{n}, 1, 'without another\'s');
is(cert_shown($port, sni => 'a.test', path => '/any')->{status}, 200,
   'and a request behind it');

# two types of keys
is(shown('both.test', '-sigalgs', 'rsa_pss_rsae_sha256'), 'exact.cn',
   'the RSA certificate');
is(shown('both.test', '-sigalgs', 'ecdsa_secp256r1_sha256'), 'alt.cn',
   'the ECDSA certificate');
is(shown('both.test', '-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'),
   'exact.cn', 'the same with TLS 1.2');
is(shown('both.test', '-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'),
   'alt.cn', 'the same with TLS 1.2');
is(shown('a.test', '-sigalgs', 'ecdsa_secp256r1_sha256'), undef,
   'the default of another type is not shown in its place');

# routes by SNI
is(cert_shown($port, sni => 'a.test', host => 'b.test', path => '/sni')
   ->{status}, 200, 'a route asks for the SNI, not the Host');
is(cert_shown($port, sni => 'b.a.test', host => 'a.test', path => '/sni')
   ->{status}, 404, 'the other way round');

for my $case ([ 'a.test', 'a.test', 200 ], [ 'a.test', 'b.test', 200 ],
              [ 'b.a.test', 'a.test', 404 ])
{
    my ($sni, $host, $status) = @$case;

    for my $on ([ '--http1.1', $port, '1.1' ], [ '--http2', $h2, '2' ]) {
        my (undef, $out) = run('curl', '-sk', $on->[0], '--resolve',
            "$sni:$on->[1]:127.0.0.1", '-o', '/dev/null', '-H',
            "Host: $host", '-w', '%{http_code} %{http_version}',
            "https://$sni:$on->[1]/sni");

        is($out, "$status $on->[2]", "HTTP/$on->[2], SNI $sni, Host $host");
    }
}

# the next handshake
my @changed = @all;
$changed[0] = certificate(1, 'new', 'a.test');

is($node->post_config(config(@changed))->status, 201, 'a changed one');
is(shown('a.test'), 'new.cn', 'is shown in the next handshake') for 1 .. 6;
is(shown('www.a.test'), 'suffix.cn', 'an SNI less');

is($node->post_config(config(@changed, certificate(9, 'any', '*')))
   ->status, 201, 'one for all names');
is(shown('other.test'), 'any.cn', 'is for other names');
is(shown('b.a.test'), 'suffix.cn', 'not for theirs');
is(shown(undef), $default, 'and not for none');

is($node->post_config(config())->status, 201, 'no certificates');
is(shown('a.test'), $default, 'the default one again') for 1 .. 4;

# what was said is no good
my $bad = $node->post_config(config({ %{ certificate(1, 'exact') },
                                      key => $c{new}{key} }));

is($bad->status, 400, 'another one\'s key');
like($bad->body, qr/certificate does not match key/, 'in Kong\'s words');
unlike($node->error_log . $bad->body, qr/PRIVATE KEY/, 'without the key');

$bad = certificate(1, 'exact', 'a.test');
$bad->{cert} .= "-----BEGIN CERTIFICATE-----\nAAAA\n"
    . "-----END CERTIFICATE-----\n";
$bad = $node->post_config(config($bad));
is($bad->status, 400, 'a chain that cannot be read') or diag($bad->body);

# sessions
is($node->post_config(config(@all))->status, 201, 'all of them again');

for my $version ('-tls1_2', '-tls1_3') {
    my $file = temp_dir() . "/session$version";
    my $first = cert_shown($port, sni => 'a.test', path => '/any',
                           args => [ $version, '-sess_out', $file ]);

    is($first->{cn}, 'exact.cn', "$version: a session");

    my $again = sub {
        my ($sni) = @_;

        return cert_shown($port, sni => $sni, path => '/any',
                          args => [ $version, '-sess_in', $file ]);
    };

    my $a = $again->('a.test');
    is("$a->{reused} $a->{status}", '1 200', 'is resumed');

    is($again->('A.test')->{reused}, 1, 'in any case');

    $a = $again->('www.a.test');
    is("$a->{reused} $a->{cn}", '0 exact.cn', 'not under another name');

    $a = $again->('b.a.test');
    is("$a->{reused} $a->{cn}", '0 suffix.cn',
       'not where another certificate is shown');

    $a = $again->('other.test');
    is("$a->{reused} $a->{cn}", "0 $default", 'nor where the default one is');

    is($node->post_config(config(@changed))->status, 201, 'changed');
    $a = $again->('a.test');
    is("$a->{reused} $a->{cn}", '0 new.cn', 'nor once it has changed');

    is($node->post_config(config(@all))->status, 201, 'changed back');

    cert_shown($port, sni => 'other.test', path => '/any',
               args => [ $version, '-sess_out', $file ]);
    is($again->('other.test')->{reused}, 1, 'so it is with the default one');
    is($again->('another.test')->{reused}, 0, 'and other names');
}

# the key is in the segment, which is nobody else's
is(join(' ', grep { $_ ne '0600' } map { sprintf('%04o', (stat($_))[2] & 07777) }
        glob("$node->{prefix}/snapshots/*")), '', 'segments are 0600');

finish();
