# Certificates of a database, written through the Admin API and behind its
# back: a write that waits is shown by every worker's next handshake, through
# publishes and reloads; what is no good is set aside alone.

use strict;
use warnings;

use KongCert;
use KongEcho;
use KongNode;
use KongPg;
use KongTest;
use POSIX ();
use Test::More;

my $WORKERS = 3;

pg_skip();

my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

my %c = map { $_ => cert_make(cn => "$_.cn", type => 'ec') }
        qw(one two three vault);
my $weak = cert_make(cn => 'weak.cn', bits => 1024);
my $echo = echo_start();
my $node = node_start(workers => $WORKERS, env => { $pg->env,
    KONG_TEST_VAULT_CERT => $c{vault}{cert},
    KONG_TEST_VAULT_KEY => $c{vault}{key} });
my $port = $node->{proxy_ssl};

sub call
{
    my ($method, $path, $body, $status, $what) = @_;

    my $r = $node->admin("$path?wait=true", method => $method,
        headers => { 'Content-Type' => 'application/json' },
        defined $body ? (body => json_encode($body)) : ());

    is($r->status, $status, $what) or diag($r->body);

    return $r->json || {};
}

sub pair { return map { $_ => $c{ $_[0] }{$_} } qw(cert key) }

# what some handshakes are shown: one name, or several with a comma
sub shown
{
    my ($sni, @args) = @_;
    my %cn = map {
        (cert_shown($port, sni => $sni, args => \@args)->{cn} // 'none') => 1
    } 1 .. 2 * $WORKERS;

    return join(',', sort keys %cn);
}

my $default = shown('a.test');
unlike($default, qr/,|\.cn$/, 'the default certificate');

my $one = call('POST', '/certificates', { pair('one'), snis => [ 'a.test',
               '*.a.test' ] }, 201, 'a certificate with two SNIs');
is(shown('a.test'), 'one.cn', 'is shown by every worker at once');
is(shown('b.a.test'), 'one.cn', 'the other name, too');
is($node->admin('/certificates/a.test')->json->{id}, $one->{id},
   'and has its name');

call('PATCH', "/certificates/$one->{id}", { pair('two') }, 200, 'another one');
is(shown('a.test'), 'two.cn', 'in its place');

my $three = call('POST', '/certificates', { pair('three') }, 201, 'a third');
call('PUT', '/snis/x.a.test', { certificate => { id => $three->{id} } }, 200,
     'gets a name');
is(shown('x.a.test'), 'three.cn', 'which is shown');
is(shown('y.a.test'), 'two.cn', 'the wildcard for others');

call('DELETE', '/snis/x.a.test', undef, 204, 'the name is gone');
is(shown('x.a.test'), 'two.cn', 'and the wildcard is for it');

my $bad = call('POST', '/certificates', { cert => $c{one}{cert},
               key => $c{two}{key} }, 400, 'another one\'s key');
like($bad->{message}, qr/certificate does not match key/, 'in Kong\'s words');

# references
my $vault = call('POST', '/certificates', {
    cert => '{vault://env/kong-test-vault-cert}',
    key => '{vault://env/kong-test-vault-key}', snis => [ 'v.test' ] }, 201,
    'references');
is(shown('v.test'), 'vault.cn', 'are resolved');
like($node->admin("/certificates/$vault->{id}")->json->{cert}, qr/^\{vault:/,
     'and shown as they are');

# behind the API's back
$pg->query("UPDATE certificates SET key = '"
           . $c{three}{key} . "' WHERE id = '$one->{id}'");
ok(wait_until(10, sub {
    ($node->status->{database}{set_aside} || 0) > 0
}), 'a row with another one\'s key is set aside');
is(shown('a.test'), $default, 'the default one is shown');
is(shown('v.test'), 'vault.cn', 'other names keep theirs');

call('PATCH', "/certificates/$one->{id}", { pair('two') }, 200, 'put right');
is(shown('a.test'), 'two.cn', 'as before');
is($node->status->{database}{set_aside}, 0, 'nothing is set aside');

# what OpenSSL does not take
call('POST', '/certificates', { cert => $weak->{cert}, key => $weak->{key},
     snis => [ 'weak.test' ] }, 201, 'a key that is too short');
is(shown('weak.test'), 'none', 'there is no handshake');
like($node->error_log, qr/certificate \S+ cannot be used/, 'the log says why');
is(shown('a.test'), 'two.cn', 'other names keep theirs');

# publishes, reloads and handshakes at the same time
my $reader = fork();
die "fork: $!" if !defined $reader;

if ($reader == 0) {
    my $failed = 0;

    for (1 .. 40) {
        my $cn = cert_shown($port, sni => 'a.test')->{cn} // 'none';

        $failed++ if $cn !~ /^(?:one|two|three)\.cn$/;
    }

    POSIX::_exit($failed > 100 ? 100 : $failed);
}

my @names = qw(one three two);
my $wrong = 0;
my $i = 0;

while (waitpid($reader, POSIX::WNOHANG()) == 0) {
    my $name = $names[ $i++ % 3 ];

    $node->admin("/certificates/$one->{id}?wait=true", method => 'PATCH',
        headers => { 'Content-Type' => 'application/json' },
        body => json_encode({ pair($name) }));
    $wrong++ if (cert_shown($port, sni => 'a.test')->{cn} // '')
                ne "$name.cn";

    kill('HUP', $node->master) if $i % 4 == 0;
    $node->note_processes;
}

is($? >> 8, 0, 'no handshake failed or was shown another certificate');
is($wrong, 0, "$i changes, each shown in the next handshake");

# sessions: the cache outlives a reload
my $file = temp_dir() . '/session';
my @version = ('-tls1_2', '-no_ticket');

call('PATCH', "/certificates/$one->{id}", { pair('one') }, 200, 'the first');
cert_shown($port, sni => 'a.test', args => [ @version, '-sess_out', $file ]);

my %old = map { $_ => 1 } $node->worker_pids;
is(($node->reload)[0], 0, 'a reload');
wait_until(15, sub { !grep { $old{$_} } $node->worker_pids });
is(cert_shown($port, sni => 'a.test', args => [ @version, '-sess_in', $file ])
   ->{reused}, 1, 'a session is resumed by new workers');
is(cert_shown($port, sni => 'v.test', args => [ @version, '-sess_in', $file ])
   ->{reused}, 0, 'not for another certificate');

unlike($node->error_log, qr/PRIVATE KEY/, 'no key in a log');

finish();
