# Bad input, made from the schemas: whatever comes, the answer is a 4xx in
# Kong's form, never a 5xx, and the database is as it was.

use strict;
use warnings;

use KongHttp;
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
my $c = KongHttp->connect($node->{admin});

sub call
{
    my ($method, $path, $body, $type) = @_;
    my $r = $c->request($path, method => $method, body => $body,
        headers => { 'Content-Type' => $type || 'application/json' });

    $c = KongHttp->connect($node->{admin})
        if !$r->status || lc($r->header('Connection') || '') eq 'close';

    return $r;
}

# the answer is one that a client can do something with
sub fault
{
    my ($r) = @_;
    my $s = $r->status;

    return 'no answer' if !$s;
    return "status $s: " . $r->body if $s >= 500;
    return if $s < 300 || $s == 413 || $s == 415
        || ($s == 400 && $r->body =~ /<center>nginx/);

    my $body = eval { json_decode($r->body) };
    return "body of $s: " . $r->body
        if ref $body ne 'HASH' || !defined $body->{message};

    return "code 2 without a name: " . $r->body
        if ($body->{code} || 0) == 2 && $body->{name} ne 'schema violation';

    return;
}


# --- every field of every entity, with values of every kind

my %entities = (
    services => 'services', routes => 'routes', consumers => 'consumers',
    upstreams => 'upstreams', plugins => 'plugins',
    certificates => 'certificates', snis => 'snis',
    ca_certificates => 'ca_certificates', 'key-sets' => 'key_sets',
    keys => 'keys', vaults => 'vaults', 'key-auths' => 'keyauth_credentials',
    'basic-auths' => 'basicauth_credentials',
    'hmac-auths' => 'hmacauth_credentials', jwts => 'jwt_secrets',
    acls => 'acls', oauth2 => 'oauth2_credentials',
    oauth2_tokens => 'oauth2_tokens',
);

my %base = (
    services => { host => 'h' }, routes => { paths => [ '/a' ] },
    consumers => { username => 'u' }, upstreams => { name => 'u.test' },
    plugins => { name => 'key-auth' }, 'key-sets' => { name => 'k' },
    vaults => { name => 'env', prefix => 'my-env' },
);

my $sql = q{'; DROP TABLE services; -- " \\ $1 {a,b} NULL};
my $deep = '[' x 400 . ']' x 400;
my @values = (
    'null', 'true', '-1', '1.5', '1e308', '""', '"x"', '[]', '{}', '[[]]',
    '{"id":"x"}', '{"id":null}', '{"name":"x"}', '{"":0}', '[null]',
    '"\\u0000"', '["\\u0000"]', '"a\\u0000b"', '{"a\\u0000":"b"}',
    "\"\xff\xfe\"", "[\"\xc0\x80\"]", "{\"\xed\xa0\x80\":1}", '"\\ud800"',
    json_encode($sql), json_encode([ $sql ]), json_encode({ $sql => $sql }),
    json_encode({ id => $sql }), json_encode('y' x 9000),
    json_encode([ map { "t$_" } 1 .. 300 ]), $deep,
    '"00000000-0000-4000-8000-000000000001"', '99999999999999999999',
    '{"id":"00000000-0000-4000-8000-000000000001"}',
);

my ($n, @faults) = (0);

for my $path (sort keys %entities) {
    my $schema = $node->admin("/schemas/$entities{$path}")->json;

    for my $field (map { keys %$_ } @{ $schema->{fields} }) {
        for my $value (@values) {
            my %body = %{ $base{$path} || {} };
            delete $body{$field};

            my $text = join(',', "\"$field\":$value",
                map { json_encode($_) . ':' . json_encode($body{$_}) }
                sort keys %body);

            my $fault = fault(call('POST', "/$path", "{$text}"));
            push @faults, "$path.$field = " . substr($value, 0, 60)
                          . ": $fault" if defined $fault;
            $n++;
        }
    }
}

# --- the same inside of records, and in every plugin's configuration, by each
# method that takes a body

my @inner = ('null', 'true', '-1', '1e308', '"x"', '[[]]', '{"id":"x"}',
             '"a\\u0000b"', "\"\xff\xfe\"", json_encode($sql),
             json_encode([ $sql ]), json_encode({ $sql => $sql }), $deep);

my $unread = 0;

sub inner
{
    my ($path, $name, $before, $fields) = @_;

    for my $f (@{ $fields || [] }) {
        my ($field, $of) = %$f;

        for my $value (@inner) {
            my $text = $before . json_encode($field) . ":$value";
            my $r = call(@$path, $text . '}' x ($text =~ tr/{//
                                                - $text =~ tr/}//));
            my $fault = fault($r);

            $unread++ if $r->body =~ /Cannot parse JSON/;
            push @faults, "$name.$field = " . substr($value, 0, 60)
                          . ": $fault" if defined $fault;
            $n++;
        }

        inner($path, "$name.$field", $before . json_encode($field) . ':{',
              $of->{fields}) if $of->{type} eq 'record';
    }
}

my $upstream = $node->admin('/schemas/upstreams')->json->{fields};
my ($checks) = grep { $_ } map { $_->{healthchecks} } @$upstream;

inner([ $_->[0], $_->[1] ], "$_->[0] healthchecks", '{"healthchecks":{',
      $checks->{fields})
    for [ 'PUT', '/upstreams/u.test' ], [ 'PATCH', '/upstreams/u.test' ];

for my $plugin (@{ $node->admin('/plugins/enabled')->json
                        ->{enabled_plugins} }) {
    my $schema = $node->admin("/schemas/plugins/$plugin")->json;
    my ($config) = grep { $_ } map { $_->{config} } @{ $schema->{fields} };

    inner([ 'POST', '/schemas/plugins/validate' ], $plugin,
          '{"name":"' . $plugin . '","config":{', $config->{fields});
}

cmp_ok($n, '>', 6000, 'values were tried');
cmp_ok($unread, '<', $n / 4, 'most of them as JSON');
is(scalar @faults, 0, 'fields')
    or diag(join("\n", @faults[0 .. ($#faults > 20 ? 20 : $#faults)]));
is($pg->query("SELECT to_regclass('services') IS NOT NULL"), 't',
   'the tables are there');


# --- bodies of each kind, cut at every byte

my $mark = 'XBOUNDX';
my %bodies = (
    'application/json' =>
        '{"name":"cut","host":"h","tags":["a","\u00e9"],"retries":1}',
    'application/x-www-form-urlencoded' =>
        'name=cut&host=h&tags[]=a&tags[2]=b%20c&client_certificate.id=x',
    "multipart/form-data; boundary=$mark" => join("\r\n", "--$mark",
        'Content-Disposition: form-data; name="name"', '', 'cut', "--$mark",
        'Content-Disposition: form-data; name="host"; filename="f"',
        'Content-Type: text/plain', '', 'h', "--$mark--", ''),
);

for my $type (sort keys %bodies) {
    my $body = $bodies{$type};
    my @bad;

    for my $len (0 .. length($body)) {
        my $fault = fault(call('PUT', '/services/cut',
                               substr($body, 0, $len), $type));
        push @bad, "$len: $fault" if defined $fault;
    }

    is("@bad", '', "cut at every byte: $type");
}


# --- sizes, keys, arguments

my @others = (
    [ 'POST', '/services', '{"host":"h","name":"' . 'x' x 9_900_000 . '"}',
      '10 MB' ],
    [ 'POST', '/services', '{"host":"h","name":"' . 'x' x 12_000_000 . '"}',
      'more than 10 MB' ],
    [ 'POST', '/services', json_encode({ host => 'h',
        tags => [ map { "t$_" } 1 .. 10_000 ] }), '10,000 tags' ],
    [ 'POST', '/services', '{"host":' . '[' x 100_000, 'deep nesting' ],
    [ 'POST', '/services', join('&', map { "a$_=1" } 1 .. 1001),
      'too many arguments', 'application/x-www-form-urlencoded' ],
    [ 'POST', '/services', 'a[1000000000]=x&host=h', 'a high index',
      'application/x-www-form-urlencoded' ],
    [ 'GET', '/services/%00', undef, 'NUL in a key' ],
    [ 'GET', '/consumers/%ff%fe', undef, 'bad UTF-8 in a key' ],
    [ 'GET', "/consumers/%27%20OR%201=1--", undef, 'SQL in a key' ],
    [ 'GET', '/services?tags=%27;--', undef, 'SQL in a tag' ],
    [ 'GET', '/services?tags=%ff', undef, 'bad UTF-8 in a tag' ],
    [ 'GET', '/services?offset=WyInOy0tIl0', undef, 'SQL in an offset' ],
    [ 'GET', '/tags/%ff', undef, 'bad UTF-8 in a tag of /tags' ],
    [ 'GET', '/consumers?custom_id=%ff', undef, 'bad UTF-8 in custom_id' ],
    [ 'PUT', '/consumers/%ff%00x', '{}', 'PUT of a bad name' ],
    [ 'DELETE', '/consumers/%ff%00x', undef, 'DELETE of a bad name' ],
    [ 'PATCH', '/consumers/%00', '{"tags":["a"]}', 'PATCH of a bad name' ],
    [ 'POST', '/services', '{"host":"h","created_at":1e18}', 'a far time' ],
    [ 'GET', '/upstreams/%2e%2e/targets/%ff', undef, 'odd segments' ],
    [ 'GET', '/' . 'a/' x 3000, undef, 'a long path' ],
);

for my $o (@others) {
    my ($method, $path, $body, $name, $type) = @$o;
    my $fault = fault(call($method, $path, $body, $type));

    is($fault, undef, $name);
}

is($node->admin('/services')->status, 200, 'it goes on');

finish();
