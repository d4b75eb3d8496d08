package KongCert;

# Certificates for the tests, made with the openssl command, and a client
# that says which one a server shows.

use strict;
use warnings;

use Exporter 'import';
use KongTest;

our @EXPORT = qw(cert_make cert_expired cert_shown);

my $COUNT = 0;


# cert_make(cn => name, names => [...], type => 'rsa' or 'ec', ca => another,
# is_ca => 1, bits => n): paths (cert_file, key_file) and texts (cert, key)
sub cert_make
{
    my (%o) = @_;
    my $base = temp_dir('certs') . '/' . ++$COUNT;
    my @names = @{ $o{names} || [ $o{cn} ] };
    my @key = ($o{type} || 'rsa') eq 'ec'
        ? ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1')
        : ('-newkey', 'rsa:' . ($o{bits} || 2048));

    my @kind = $o{is_ca}
        ? ('-addext', 'basicConstraints=critical,CA:TRUE')
        : ('-addext', 'basicConstraints=CA:FALSE', '-addext',
           'subjectAltName=' . join(',', map { "DNS:$_" } @names));

    if (defined $o{ca}) {
        must('openssl', 'req', @key, '-nodes', '-subj', "/CN=$o{cn}",
             '-keyout', "$base.key", '-out', "$base.csr", @kind);
        must('openssl', 'x509', '-req', '-in', "$base.csr", '-days', 3,
             '-CA', $o{ca}{cert_file}, '-CAkey', $o{ca}{key_file},
             '-set_serial', 1000 + $COUNT, '-copy_extensions', 'copy',
             '-out', "$base.crt");

    } else {
        must('openssl', 'req', '-x509', @key, '-nodes', '-days', 3, '-subj',
             "/CN=$o{cn}", '-keyout', "$base.key", '-out', "$base.crt",
             @kind);
    }

    return loaded($base);
}

# one whose time is over
sub cert_expired
{
    my (%o) = @_;
    my $base = temp_dir('certs') . '/' . ++$COUNT;
    my $dir = temp_dir("certs/ca$COUNT");

    spit("$dir/index", '');
    spit("$dir/conf", "[ca]\ndefault_ca=d\n[d]\ndatabase=$dir/index\n"
         . "new_certs_dir=$dir\npolicy=p\ndefault_md=sha256\n"
         . "rand_serial=yes\n[p]\ncommonName=supplied\n");

    must('openssl', 'req', '-newkey', 'rsa:2048', '-nodes', '-subj',
         "/CN=$o{cn}", '-keyout', "$base.key", '-out', "$base.csr");
    must('openssl', 'ca', '-batch', '-selfsign', '-config', "$dir/conf",
         '-keyfile', "$base.key", '-in', "$base.csr", '-out', "$base.crt",
         '-startdate', '20200101000000Z', '-enddate', '20200102000000Z',
         '-notext');

    return loaded($base);
}

sub must
{
    my ($rc, $out, $err) = run(@_);

    die "@_: $err" if $rc != 0;
}

sub loaded
{
    my ($base) = @_;

    chmod(0644, "$base.key");

    return { cert_file => "$base.crt", key_file => "$base.key",
             cert => slurp("$base.crt"), key => slurp("$base.key") };
}

# cert_shown(port, sni => name, args => [...], path => '/'): what a handshake
# and a request behind it told: cn of the certificate, how many came with it
# (n), whether the session was resumed, the answer's status.  cn undef: no
# certificate, no handshake
sub cert_shown
{
    my ($port, %o) = @_;
    my $host = $o{host} || $o{sni} || 'none.test';
    my $file = spit(temp_dir() . "/request$$",
        'GET ' . ($o{path} || '/') . " HTTP/1.1\r\nHost: $host\r\n"
        . "Connection: close\r\n\r\n");

    my ($rc, $out, $err) = run({ timeout => 20, stdin => $file },
        'openssl', 's_client', '-connect', "127.0.0.1:$port", '-ign_eof',
        '-showcerts',
        (defined $o{sni} ? ('-servername', $o{sni}) : '-noservername'),
        @{ $o{args} || [] });

    my ($cn) = $out =~ /^subject=.*?CN *= *(\S+)/m;
    my $n = () = $out =~ /-BEGIN CERTIFICATE-/g;
    my ($status) = $out =~ m{^HTTP/1\.1 (\d+)}m;

    return { cn => $cn, n => $n, status => $status || 0,
             reused => $out =~ /^Reused, /m ? 1 : 0, text => "$out$err" };
}

1;
