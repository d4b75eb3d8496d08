# TLS to the database: pg_ssl never speaks in clear, pg_ssl_verify trusts the
# authority that lua_ssl_trusted_certificate names and no other; pg_schema and
# pg_ro_host go with it.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongPg;
use KongRows;
use KongTest;
use Test::More;

pg_skip();

my $kong = build() . '/kong';
my $dir = temp_dir('tls');
my $plain = pg_new();
my $pg = pg_new();

sub openssl
{
    my ($rc, $out, $err) = run({ timeout => 60, dir => $dir }, 'openssl', @_);

    die "openssl @_: $err" if $rc != 0;
}

# an authority, and a server's certificate of its own
sub authority
{
    my ($name) = @_;

    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 2,
            '-subj', "/CN=$name", '-keyout', "$name.key", '-out',
            "$name.crt");
}

sub server
{
    my ($name, $ca) = @_;

    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', "/CN=$name",
            '-keyout', "$name.key", '-out', "$name.csr");
    openssl('x509', '-req', '-days', 2, '-in', "$name.csr", '-CA', "$ca.crt",
            '-CAkey', "$ca.key", '-CAcreateserial', '-out', "$name.crt");
}

# the server's key is its own, whoever wrote it
sub install
{
    for my $name ('db.key', 'db.crt') {
        my $path = spit("$pg->{data}/$name", slurp("$dir/$name"));

        chmod(0600, $path);
        $pg->own($path);
    }
}

authority($_) for 'ours', 'theirs';
server('db', 'ours');

my $rows = rows_new($pg, upstream => echo_start());
$rows->route('a');

install();
%{ $pg->{settings} } = (ssl => 'on', ssl_key_file => 'db.key',
                        ssl_cert_file => 'db.crt');
$pg->configure;

# whoever speaks in clear is refused
spit("$pg->{data}/pg_hba.conf", "local all all trust\n"
     . "hostssl all all 127.0.0.1/32 trust\n");
$pg->restart;

my %on = (KONG_PG_SSL => 'on');
my %verify = (%on, KONG_PG_SSL_VERIFY => 'on');
my %ours = (KONG_LUA_SSL_TRUSTED_CERTIFICATE => "$dir/ours.crt");
my %theirs = (KONG_LUA_SSL_TRUSTED_CERTIFICATE => "$dir/theirs.crt");

sub list
{
    my ($server, %env) = @_;

    return run({ env => { $server->env, %env }, timeout => 60 }, $kong,
               'migrations', 'list', '-q');
}

is((list($pg))[0], 1, 'in clear: the server refuses it');
is((list($pg, %on))[0], 0, 'pg_ssl');
is((list($pg, %verify, %ours))[0], 0, 'pg_ssl_verify, its authority');

my ($rc, undef, $err) = list($pg, %verify, %theirs);
is($rc, 1, 'another authority');
like($err, qr/certificate verify failed/, 'says so');
($rc, undef, $err) = list($pg, %verify);
is($rc, 1, 'the system\'s authorities');
like($err, qr/certificate verify failed|does not match/, 'say so');

($rc, undef, $err) = list($plain, %on);
is($rc, 1, 'a server without TLS: nothing is said in clear');
like($err, qr/does not support SSL/, 'says so');


# --- a node

my $node = node_start(env => { $pg->env, %verify, %ours });
is($node->get('/a')->status, 200, 'a node reads over TLS');
is($pg->admin("SELECT bool_and(s.ssl) FROM pg_stat_activity a
    JOIN pg_stat_ssl s USING (pid) WHERE a.application_name = 'kong'"), 't',
   'each of its connections');

$rows->route('b');
is($node->wait_status('/b', 200)->status, 200, 'changes come over it');

# a certificate that is not trusted is a server that is not there
server('db', 'theirs');

install();
$pg->restart;
ok(wait_until(15, sub {
    ($node->status->{source}{message} || '') =~ /certificate verify failed/
}), '/status says why') or diag($node->logs);
$rows->route('c');
is($node->get('/c')->status, 404, 'nothing is read from it');
is($node->get('/b')->status, 200, 'what was served is served');

server('db', 'ours');

install();
$pg->restart;
is($node->wait_status('/c', 200, seconds => 15)->status, 200,
   'trusted again');


# --- a schema of another name, a replica of its own

my %schema = (KONG_PG_SCHEMA => 'of "kong"');

is((run({ env => { $pg->env, %verify, %ours, %schema }, timeout => 60 },
        $kong, 'migrations', 'bootstrap', '-q'))[0], 0, 'pg_schema');
$pg->query('INSERT INTO "of ""kong""".services (id, ws_id, name, host, port,
    protocol, path, retries, connect_timeout, write_timeout, read_timeout)
    SELECT s.id, w.id, s.name, s.host, s.port, s.protocol, s.path, s.retries,
    60000, 60000, 60000 FROM public.services s,
    "of ""kong""".workspaces w');
$pg->query('INSERT INTO "of ""kong""".routes (id, ws_id, name, service_id,
    paths, protocols) SELECT md5(\'x\')::uuid, w.id, \'x\', s.id,
    \'{/x}\', \'{http}\' FROM "of ""kong""".services s,
    "of ""kong""".workspaces w');

my $other = node_start(env => { $pg->env, %verify, %ours, %schema });
is($other->get('/x')->status, 200, 'is what is read');
is($other->get('/a')->status, 404, 'and nothing else');
$pg->query('UPDATE "of ""kong""".routes SET paths = \'{/y}\'');
is($other->wait_status('/y', 200)->status, 200, 'changes in it');

finish();
