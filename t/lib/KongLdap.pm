package KongLdap;

# Directory servers for the tests: a private slapd in a folder of its own, on
# free ports of 127.0.0.1; and servers that do not behave, one way each.  They
# end with the test.

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET ();
use KongTest;

our @EXPORT = qw(ldap_skip ldap_new ldap_bad);

my $COUNT = 0;
my $BASE = 'dc=example,dc=test';


# ends the test where there is no server to start
sub ldap_skip
{
    plan_skip('no slapd here')
        if !-x '/usr/sbin/slapd' || !-e '/usr/lib/ldap/back_mdb.so';
}

# ldap_new(users => { name => password }, cert => path, key => path), running
sub ldap_new
{
    my (%o) = @_;
    my $dir = temp_dir('ldap' . ++$COUNT);
    my $self = bless {
        dir => $dir, log => "$dir/log", base => "ou=people,$BASE",
        port => free_port(), tls => free_port(),
    }, __PACKAGE__;

    mkdir("$dir/data");

    spit("$dir/slapd.conf", join('', map { "$_\n" }
        (map { "include /etc/ldap/schema/$_.schema" }
         qw(core cosine inetorgperson)),
        # as some directories are: a name without a password always passes
        'allow bind_anon_dn', "pidfile $dir/pid", 'modulepath /usr/lib/ldap', 'moduleload back_mdb',
        (defined $o{cert} ? ("TLSCertificateFile $o{cert}",
                             "TLSCertificateKeyFile $o{key}") : ()),
        'database mdb', "suffix $BASE", "directory $dir/data",
        'maxsize 16777216', "rootdn cn=admin,$BASE", 'rootpw admin',
        'access to attrs=userPassword by anonymous auth by * none',
        'access to * by * read'));

    my $ldif = "dn: $BASE\nobjectClass: dcObject\n"
        . "objectClass: organization\no: test\ndc: example\n\n"
        . "dn: $self->{base}\nobjectClass: organizationalUnit\n"
        . "ou: people\n\n";

    for my $name (sort keys %{ $o{users} }) {
        my $value = escape($name);

        $ldif .= "dn: uid=$value,$self->{base}\n"
            . "objectClass: inetOrgPerson\nuid:: " . base64($name)
            . "\ncn: x\nsn: x\nuserPassword:: "
            . base64($o{users}{$name}) . "\n\n";
    }

    # a DN that is not ASCII is written as base64
    $ldif =~ s{^dn: (.*[^\n -~].*)$}{'dn:: ' . base64($1)}gme;

    my ($rc, $out, $err) = run('/usr/sbin/slapadd', '-q', '-f',
        "$dir/slapd.conf", '-l', spit("$dir/users.ldif", $ldif));
    die "slapadd: $out$err" if $rc != 0;

    $self->start;

    return $self;
}

sub escape
{
    my ($name) = @_;

    $name =~ s/([\\"+,;<>=])/\\$1/g;
    $name =~ s/^([ #])/\\$1/;

    return $name;
}

sub base64
{
    require MIME::Base64;

    return MIME::Base64::encode_base64($_[0], '');
}

sub start
{
    my ($self) = @_;

    $self->{pid} = spawn({ STDOUT => $self->{log} }, '/usr/sbin/slapd',
        '-f', "$self->{dir}/slapd.conf", '-d', 'stats', '-h',
        "ldap://127.0.0.1:$self->{port} ldaps://127.0.0.1:$self->{tls}"
        . ($self->six ? " ldap://[::1]:$self->{port}" : ''));

    wait_until(20, sub {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                              PeerPort => $self->{tls})
    }) or die 'slapd: ' . (slurp($self->{log}) || '');
}

# whether it listens on ::1 too
sub six { return (slurp('/proc/net/if_inet6') || '') =~ /^0{31}1 /m ? 1 : 0 }

sub stop
{
    my ($self) = @_;

    kill_pid(delete $self->{pid}) if $self->{pid};
}

# how many lines of its log match, since the mark
sub count
{
    my ($self, $what) = @_;
    my $text = substr(slurp($self->{log}), $self->{mark} || 0);

    return scalar(() = $text =~ /$what/g);
}

sub mark { $_[0]{mark} = length slurp($_[0]{log}) }


# ldap_bad(sub { my ($socket, $id, $request) = @_; ... }): the port of a
# server that calls the sub for each message; it closes when that returns 0.
# `gone` counts clients that went, in a file: ldap_bad($sub, $file)
sub ldap_bad
{
    my ($code, $file) = @_;
    my $port = free_port();
    my $listener = IO::Socket::INET->new(Listen => 64, Proto => 'tcp',
                       LocalAddr => '127.0.0.1', LocalPort => $port,
                       ReuseAddr => 1) or die "ldap: $port: $!";

    spawn(sub {
        $SIG{CHLD} = 'IGNORE';

        while (my $s = $listener->accept) {
            if (fork() == 0) {
                close($listener);
                serve($s, $code, $file);
                POSIX::_exit(0);
            }
            close($s);
        }
    });

    close($listener);

    return $port;
}

sub serve
{
    my ($s, $code, $file) = @_;
    my $buf = '';

    $s->autoflush(1);

    while (sysread($s, $buf, 65536, length $buf)) {

        # short messages with small ids are all that comes
        while (length $buf > 1 && length $buf >= 2 + ord(substr($buf, 1, 1))) {
            my $m = substr($buf, 0, 2 + ord(substr($buf, 1, 1)), '');

            # the start of TLS
            next if $m !~ /^\x30..\x01/s;

            my $id = substr($m, 2, 3);

            return if !$code->($s, $id, $m);
        }
    }

    if (defined $file) {
        open(my $fh, '>>', $file);
        print $fh "gone\n";
    }
}

1;
