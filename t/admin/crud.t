# What the recorded conversations do not say: upward paths, semantics of PUT
# and PATCH, SNIs, groups, targets, references, ttl, tags, pages, the API's
# own description.

use strict;
use warnings;

use KongNode;
use KongPg;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

my $node = node_start(env => { $pg->env });

sub call
{
    my ($method, $path, $body, $type) = @_;

    return $node->admin($path, method => $method, timeout => 10,
        headers => { defined $body
            ? ('Content-Type' => $type || 'application/json') : () },
        defined $body ? (body => ref $body ? json_encode($body) : $body)
                      : ());
}

# the status, then what the answer holds
sub check
{
    my ($name, $method, $path, $body, $status, $want, $type) = @_;
    my $r = call($method, $path, $body, $type);
    my $json = length($r->body) ? eval { $r->json } : undef;

    is($r->status, $status, "$name: status") or diag($r->body);

    for my $key (sort keys %{ $want || {} }) {
        is_deeply($json->{$key}, $want->{$key}, "$name: $key");
    }

    return $json;
}


# --- upward paths

my $s = check('service', 'PUT', '/services/s', { host => 'h' }, 200,
              { name => 's', port => 80 });
my $r = check('a route of nobody', 'PUT', '/routes/r', { paths => [ '/' ] },
              200, { service => undef });
check('unset', 'GET', '/routes/r/service', undef, 404,
      { message => 'Not found' });
check('unset, PATCH', 'PATCH', '/routes/r/service', {}, 404);
check('unset, DELETE', 'DELETE', '/routes/r/service', undef, 404);
my $made = check('PUT makes and links', 'PUT', '/routes/r/service',
                 { host => 'new', name => 'linked' }, 200,
                 { host => 'new' });
check('linked', 'GET', '/routes/r', undef, 200,
      { service => { id => $made->{id} } });
check('PUT of what is linked', 'PUT', '/routes/r/service',
      { host => 'other' }, 200, { id => $made->{id}, host => 'other',
                                  name => undef });
check('PATCH upward', 'PATCH', '/routes/r/service', { retries => 1 }, 200,
      { retries => 1, host => 'other' });
check('DELETE upward', 'DELETE', '/routes/r/service', undef, 405,
      { message => 'Method not allowed' });
check('not the sni', 'GET', '/snis/x/certificate', undef, 404);
check('referenced', 'DELETE', "/services/$made->{id}", undef, 400, {
    code => 4, fields => { '@referenced_by' => 'routes' },
    message => "an existing 'routes' entity references this 'services' "
               . 'entity' });


# --- PUT and PATCH

check('PATCH null clears', 'PATCH', '/services/s', { path => '/x' }, 200);
check('cleared', 'PATCH', '/services/s', { path => undef }, 200,
      { path => undef });
check('a required one', 'PATCH', '/services/s', { host => undef }, 400,
      { code => 2, fields => { host => 'required field missing' } });
check('url overrides', 'PATCH', '/services/s',
      { url => 'https://u.test/p' }, 200,
      { host => 'u.test', port => 443, protocol => 'https', path => '/p' });
check('PUT resets', 'PUT', '/services/s', { host => 'h2' }, 200,
      { id => $s->{id}, path => undef, protocol => 'http', port => 80 });
check('an id in the body is not heard', 'PUT', '/services/s',
      { host => 'h', id => '00000000-0000-4000-8000-00000000000a' }, 200,
      { id => $s->{id} });
check('nor in a PATCH', 'PATCH', '/services/s',
      { id => '00000000-0000-4000-8000-00000000000a', retries => 2 }, 200,
      { id => $s->{id}, retries => 2 });
check('foreign by name', 'PATCH', '/routes/r', { service => { name => 's' } },
      200, { service => { id => $s->{id} } });
check('foreign as a whole entity, the id at its end', 'PATCH', '/routes/r',
      { service => undef }, 200, { service => undef });
check('is a foreign key', 'PATCH', '/routes/r',
      "{\"service\":{\"host\":\"h\",\"port\":80,\"id\":\"$s->{id}\"}}",
      200, { service => { id => $s->{id} } });
check('upper case', 'GET', '/services/' . uc($s->{id}), undef, 200,
      { id => $s->{id} });
check('missing', 'PATCH', '/services/none', { retries => 2 }, 404,
      { code => 6, fields => { name => 'none' } });


# --- plugins: merging, forms, protocols, one of a kind

my $p = check('plugin', 'POST', '/services/s/plugins',
    { name => 'rate-limiting', config => { minute => 5, hour => 9 } }, 201,
    { service => { id => $s->{id} } });
my $m = check('config is merged', 'PATCH', "/plugins/$p->{id}",
              { config => { minute => 7 } }, 200);
is($m->{config}{minute}, 7, 'the new one');
is($m->{config}{hour}, 9, 'the old one');
$m = check('typed by the stored name', 'PATCH', "/plugins/$p->{id}",
           'config.minute=8&config.fault_tolerant=false', 200, {},
           'application/x-www-form-urlencoded');
is($m->{config}{minute}, 8, 'a number');
ok(!$m->{config}{fault_tolerant}, 'a boolean');
$m = check('an older name', 'PATCH', "/plugins/$p->{id}",
           { config => { redis_port => 6380 } }, 200);
is($m->{config}{redis}{port}, 6380, 'under its new name');
is($m->{config}{redis_port}, 6380, 'shown under both');
check('twice', 'POST', '/plugins',
      { name => 'rate-limiting', service => { name => 's' },
        config => { second => 1 } }, 409, {
      code => 5, fields => { name => 'rate-limiting', route => undef,
                             consumer => undef,
                             service => { id => $s->{id} } } });
check('protocols', 'POST', '/plugins',
      { name => 'key-auth', route => { name => 'r' },
        protocols => [ 'grpc' ] }, 400, { code => 2, fields => {
        protocols => "must match the associated route's protocols" } });
check('of the child', 'GET', "/routes/r/plugins/$p->{id}", undef, 404);
check('through the service', 'GET', "/services/s/plugins/$p->{id}", undef,
      200, { id => $p->{id} });


# --- credentials: hashes, ttl, groups

my $bob = check('bob', 'POST', '/consumers', { username => 'bob' }, 201);
my $b = check('a password', 'POST', '/consumers/bob/basic-auth',
              { username => 'bob', password => 'secret' }, 201);
like($b->{password}, qr/^[0-9a-f]{40}$/, 'is hashed');
check('and not again', 'PATCH', '/consumers/bob/basic-auth/bob',
      { tags => [ 'x' ] }, 200, { password => $b->{password} });
isnt(check('another', 'PATCH', '/consumers/bob/basic-auth/bob',
           { password => 'new' }, 200)->{password}, $b->{password},
     'has another hash');

my $k = check('a key that ends', 'POST', '/consumers/bob/key-auth',
              { key => 'k', ttl => 50 }, 201);
cmp_ok($k->{ttl}, '<=', 50, 'seconds left');
cmp_ok($k->{ttl}, '>=', 47, 'not many less');
$k = check('a change', 'PATCH', '/key-auths/k', { tags => [ 'a' ] }, 200);
cmp_ok($k->{ttl}, '<=', 50, 'does not make them more');
check('an end of no time', 'POST', '/consumers/bob/key-auth',
      { key => 'short', ttl => 1 }, 201);
ok(wait_until(5, sub { call('GET', '/key-auths/short')->status == 404 }),
   'it is gone');

my $g = check('a group', 'PUT', '/consumers/bob/acls/team', {}, 200,
              { group => 'team' });
check('by its name', 'GET', '/consumers/bob/acls/team', undef, 200,
      { id => $g->{id} });
check('again', 'PUT', '/consumers/bob/acls/team', { tags => [ 't' ] }, 200,
      { id => $g->{id} });
check('twice', 'POST', '/consumers/bob/acls', { group => 'team' }, 409);
check('not by name alone', 'GET', '/acls/team', undef, 400, { code => 1 });
check('a missing group', 'GET', '/consumers/bob/acls/none', undef, 404);
check('gone', 'DELETE', '/consumers/bob/acls/team', undef, 204);

check('oauth2', 'POST', '/consumers/bob/oauth2',
      { name => 'app', redirect_uris => [ 'http://a.test/' ] }, 201);
check('tokens', 'GET', '/oauth2_tokens', undef, 200, { data => [] });
is(scalar @{ check('jwt', 'GET', '/consumers/bob/jwt', undef, 200)->{data} },
   0, 'no jwt');

check('with its consumer', 'DELETE', '/consumers/bob', undef, 204);
check('its keys', 'GET', '/key-auths', undef, 200, { data => [] });


# --- targets

check('upstream', 'PUT', '/upstreams/u.test', {}, 200);
check("target $_", 'POST', '/upstreams/u.test/targets',
      { target => "10.0.0.$_", weight => $_ }, 201,
      { target => "10.0.0.$_:8000" }) for 1 .. 5;
my $page = check('newest first', 'GET', '/upstreams/u.test/targets?size=3',
                 undef, 200, { offset => '3' });
is(join(' ', map { $_->{weight} } @{ $page->{data} }), '5 4 3', 'the order');
$page = check('the next', 'GET', '/upstreams/u.test/targets?offset=3&size=3',
              undef, 200, { next => undef });
is(join(' ', map { $_->{weight} } @{ $page->{data} }), '2 1', 'the rest');
is(scalar @{ check('all', 'GET', '/upstreams/u.test/targets/all', undef,
                   200)->{data} }, 5, 'all of them');
check('without its port', 'GET', '/upstreams/u.test/targets/10.0.0.1', undef,
      200, { weight => 1 });
check('PUT is PATCH', 'PUT', '/upstreams/u.test/targets/10.0.0.1',
      { weight => 9 }, 200, { target => '10.0.0.1:8000', weight => 9 });
check('and makes none', 'PUT', '/upstreams/u.test/targets/10.0.0.77',
      { weight => 9 }, 404);
check('none to delete', 'DELETE', '/upstreams/u.test/targets/10.0.0.77',
      undef, 404, { message => 'Not found' });
check('no collection', 'GET', '/targets', undef, 404);
check('least-connections stays', 'PATCH', '/upstreams/u.test',
      { algorithm => 'least-connections' }, 200,
      { algorithm => 'least-connections' });
check('with other changes', 'PATCH', '/upstreams/u.test', { slots => 20 },
      200, { algorithm => 'least-connections', slots => 20 });


# --- certificates

my $dir = temp_dir('tls');
my @req = ('req', '-x509', '-newkey', 'ec', '-pkeyopt',
           'ec_paramgen_curve:prime256v1', '-nodes', '-days', '9');
run('openssl', @req, '-keyout', "$dir/k.pem", '-out', "$dir/c.pem",
    '-subj', '/CN=a.test');
my %pair = (cert => slurp("$dir/c.pem"), key => slurp("$dir/k.pem"));

my $c = check('by a name', 'PUT', '/certificates/b.test',
              { %pair, snis => [ 'a.test' ] }, 200,
              { snis => [ 'a.test', 'b.test' ] });
check('it is there', 'GET', '/certificates/b.test', undef, 200,
      { id => $c->{id} });
check('the list is replaced', 'PATCH', "/certificates/$c->{id}",
      { snis => [ 'c.test' ] }, 200, { snis => [ 'c.test' ] });
check('gone', 'GET', '/snis/a.test', undef, 404);
check('left alone', 'PATCH', '/certificates/c.test', { tags => [ 'x' ] },
      200, { snis => [ 'c.test' ] });
check('a name twice', 'PATCH', "/certificates/$c->{id}",
      { snis => [ 'd.test', 'd.test' ] }, 400,
      { fields => { snis => 'd.test is duplicated' } });
check('nothing was changed', 'GET', "/certificates/$c->{id}/snis", undef,
      200);
check('unknown name', 'GET', '/certificates/none.test', undef, 404,
      { message => 'SNI not found' });
check('unknown id', 'GET', '/certificates/' . ('0' x 8)
      . '-0000-4000-8000-000000000000', undef, 404, { code => 6 });
check('a page', 'GET', '/certificates', undef, 200);
check('in use', 'PUT', '/services/tls',
      { url => 'https://x.test', client_certificate => { id => $c->{id} } },
      200);
check('refused', 'DELETE', "/certificates/$c->{id}", undef, 400,
      { code => 4 });
check('with its names', 'GET', '/snis/c.test', undef, 200);
check('let go', 'DELETE', '/services/tls', undef, 204);
check('gone', 'DELETE', "/certificates/$c->{id}", undef, 204);
check('as are its names', 'GET', '/snis', undef, 200, { data => [] });

my $ca = check('ca', 'POST', '/ca_certificates', { cert => $pair{cert} },
               201);
like($ca->{cert_digest}, qr/^[0-9a-f]{64}$/, 'its digest');
check('ca twice', 'POST', '/ca_certificates', { cert => $pair{cert} }, 409,
      { fields => { cert_digest => $ca->{cert_digest} } });
my $t = check('trusts it', 'POST', '/services',
    { url => 'https://y.test', ca_certificates => [ $ca->{id} ] }, 201);
check('referenced', 'DELETE', "/ca_certificates/$ca->{id}", undef, 400,
      { code => 19, message => "ca certificate $ca->{id} is still "
        . "referenced by services (id = $t->{id})" });
check('no more', 'PATCH', "/services/$t->{id}",
      { ca_certificates => undef }, 200);

# a plugin that is not ours may hold one as well
my $id = '00000000-0000-4000-8000-00000000ca01';
$pg->query("INSERT INTO plugins (id, name, enabled, config, ws_id)
    SELECT '$id', 'theirs', true,
           '{\"ca_certificates\":[\"$ca->{id}\"]}'::jsonb, id
    FROM workspaces");
check('referenced by a plugin', 'DELETE', "/ca_certificates/$ca->{id}",
      undef, 400, { code => 19, message => "ca certificate $ca->{id} is "
        . "still referenced by plugins (id = $id)" });
$pg->query("DELETE FROM plugins WHERE id = '$id'");
check('free', 'DELETE', "/ca_certificates/$ca->{id}", undef, 204);


# --- tags and pages

check("consumer $_", 'PUT', "/consumers/c$_",
      { tags => [ 'all', $_ % 2 ? 'odd' : 'even' ] }, 200) for 1 .. 7;
is(scalar @{ check('both', 'GET', '/consumers?tags=all,odd', undef,
                   200)->{data} }, 4, 'all of them');
is(scalar @{ check('any', 'GET', '/consumers?tags=odd/even', undef,
                   200)->{data} }, 7, 'any of them');

my ($next, %seen) = ('/tags?size=4');
while (defined $next) {
    my $tags = check('tags', 'GET', $next, undef, 200);
    $seen{"$_->{tag} $_->{entity_id}"}++ for @{ $tags->{data} };
    $next = $tags->{next};
}
is(scalar(grep { /^(?:all|odd|even) / } keys %seen), 14, 'every use once');
is(scalar(grep { $_ != 1 } values %seen), 0, 'none twice');
is(scalar @{ check('one tag', 'GET', '/tags/odd', undef, 200)->{data} }, 4,
   'its uses');
check('not made here', 'POST', '/tags', {}, 405);


# --- the rest

check('config', 'GET', '/config', undef, 400, { message => 'this endpoint '
      . 'is only available when Kong is configured to not use a database' });
check('config, written', 'POST', '/config', { _format_version => '3.0' }, 400,
      { message => 'this endpoint is only available when Kong is configured '
        . 'to not use a database' });
check('config, checked', 'POST', '/config?check_hash=1&flatten_errors=1',
      { config => 'nonsense' }, 400, { message => 'this endpoint is only '
        . 'available when Kong is configured to not use a database' });
check('config, another way', 'PUT', '/config', {}, 405);
check('level', 'PUT', '/debug/node/log-level/debug', undef, 200,
      { message => 'log level changed' });
check('shown', 'GET', '/debug/node/log-level', undef, 200,
      { message => 'log level: debug' });
check('no level', 'PUT', '/debug/node/log-level/loud', undef, 400,
      { message => 'unknown log level: loud' });
check('wasm', $_, '/filter-chains', $_ eq 'POST' ? {} : undef, 400, {
      message => 'this endpoint is only available when wasm is enabled' })
    for qw(GET POST);
check('cache', 'DELETE', '/cache', undef, 204);
check('dns', 'GET', '/status/dns', undef, 501,
      { message => 'not implemented with the legacy DNS client' });
my ($config) = grep { $_ }
    map { $_->{config} } @{ check('schema', 'GET',
    '/schemas/plugins/rate-limiting', undef, 200)->{fields} };
my %old = map { %$_ } @{ $config->{shorthand_fields} };
is_deeply($old{redis_ssl_verify}, { type => 'boolean', deprecation => {
    removal_in_version => '4.0', replaced_with => [ { path => [ 'redis', 'ssl_verify' ] } ] } },
    'a deprecated field names its path');
is(join(' ', map { keys %$_ } @{ check('schema', 'GET', '/schemas/tags',
                                       undef, 200)->{fields} }),
   'tag entity_name entity_id', 'tags have a schema');

my $doc = check('openapi', 'GET', '/openapi.json', undef, 200,
                { openapi => '3.1.0' });
my $paths = check('endpoints', 'GET', '/endpoints', undef, 200)->{data};
is_deeply([ sort keys %{ $doc->{paths} } ], [ sort @$paths ],
          'every path is described');

my @refs;
sub refs
{
    my ($v) = @_;

    if (ref $v eq 'HASH') {
        push @refs, $v->{'$ref'} if exists $v->{'$ref'} && !ref $v->{'$ref'};
        refs($_) for values %$v;
    } elsif (ref $v eq 'ARRAY') {
        refs($_) for @$v;
    }
}
refs($doc);
is(join(' ', grep { !exists $doc->{components}{schemas}
                    { s{^#/components/schemas/}{}r } } @refs), '',
   'every reference leads somewhere');

finish();
