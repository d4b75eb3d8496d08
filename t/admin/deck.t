# decK drives the Admin API as it drives Kong's: every command, a file with
# every kind of entity and every plugin, twice; 4,000 entities at once; tags
# that share a gateway; tokens; a node without a database.

use strict;
use warnings;

use KongDeck;
use KongNode;
use KongPg;
use KongTest;
use Test::More;

deck_skip();
pg_skip();

my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

my $node = node_start(env => { $pg->env });
my $deck = deck_new($node);
my $dir = temp_dir('keys');


# --- the file

# a certificate with its key: of an authority where it has a subject only
sub certificate
{
    my ($name, @args) = @_;

    run('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days',
        '3650', '-subj', "/CN=$name", '-keyout', "$dir/k.pem", '-out',
        "$dir/c.pem", @args);

    return (cert => slurp("$dir/c.pem"), key => slurp("$dir/k.pem"));
}

sub id { return sprintf('%08d-0000-4000-8000-000000000000', $_[0]) }

my %pair = certificate('deck.test');
my %other = certificate('other.test');
my %ca = certificate('ca.test', '-addext', 'keyUsage=keyCertSign');
my $public = (run('openssl', 'pkey', '-in', "$dir/k.pem", '-pubout'))[1];

# a public key, of RFC 7517
my $jwk = {
    kty => 'EC', crv => 'P-256', kid => 'a',
    x => 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
    y => '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM'
};

# what a plugin needs beside its defaults; decK itself adds none inside of
# maps, nor to a default that is a list of records
my %needs = (
    'acl' => { allow => [ 'team' ], hide_groups_header => \1 },
    'cors' => { origins => [ 'https://a.test', '*' ], max_age => 60 },
    'datadog' => { metrics => [ { name => 'latency', stat_type => 'timer',
                                  tags => [ 'a:b' ] } ] },
    'file-log' => { path => '/dev/null' },
    'http-log' => { http_endpoint => 'http://127.0.0.1:9/',
                    headers => { 'X-A' => 'b' } },
    'ip-restriction' => { allow => [ '127.0.0.0/8', '::1' ] },
    'ldap-auth' => { base_dn => 'dc=a', attribute => 'cn',
                     ldap_host => '127.0.0.1' },
    'loggly' => { key => 'k' },
    'oauth2' => { scopes => [ 'a' ], enable_client_credentials => \1,
                  provision_key => 'p' },
    'opentelemetry' => { traces_endpoint => 'http://127.0.0.1:9/',
                         resource_attributes => { 'service.name' => 's' } },
    'proxy-cache' => { strategy => 'memory', content_type => [ 'a/b' ] },
    'rate-limiting' => { minute => 5, redis_host => '127.0.0.1',
                         redis_port => 6390 },
    'redirect' => { location => 'http://a.test/' },
    'request-transformer' => { add => { headers => [ 'a:b' ] },
                               rename => { body => [ 'a:b' ] } },
    'response-ratelimiting' => { limits => { video => { minute => 9, map {
                                      $_ => undef
                                  } qw(second hour day month year) } },
                                 redis => { host => '127.0.0.1' } },
    'session' => { secret => 'x' x 32 },
    'statsd' => { metrics => [ { name => 'request_count',
                                 stat_type => 'counter',
                                 sample_rate => 0.5 } ] },
    'tcp-log' => { host => '127.0.0.1', port => 9 },
    'udp-log' => { host => '127.0.0.1', port => 9 },
);

my @plugins = sort @{ $node->admin('/plugins/enabled')->json
                      ->{enabled_plugins} };

# a route that has all there is, one for each protocol, one for each plugin
sub routes
{
    return (
        { name => 'all', paths => [ '/all', '~/a\\d+$' ],
          methods => [ 'GET', 'PURGE' ], hosts => [ 'a.test', '*.b.test' ],
          headers => { 'x-a' => [ 'b', 'c' ] }, snis => [ 'a.test' ],
          protocols => [ 'https' ], regex_priority => 7,
          https_redirect_status_code => 301, path_handling => 'v1',
          strip_path => \0, preserve_host => \1, request_buffering => \0,
          response_buffering => \0, tags => [ 'one', 'two' ],
          plugins => [
            { name => 'correlation-id', instance_name => 'of-all',
              enabled => \0, protocols => [ 'https' ],
              tags => [ 'plugin' ], config => { generator => 'uuid' } }
          ] },
        { name => 'tcp', protocols => [ 'tcp', 'tls' ],
          sources => [ { ip => '10.0.0.0/8' }, { port => 99 } ],
          destinations => [ { ip => '10.0.0.1', port => 98 } ] },
        { name => 'grpc', protocols => [ 'grpc', 'grpcs' ],
          paths => [ '/a.B/C' ], strip_path => \0 },
        map { +{ name => "of-$_", paths => [ "/of/$_" ],
                 plugins => [ { name => $_, $needs{$_}
                                ? (config => $needs{$_}) : () } ] } }
            @plugins
    );
}

sub consumers
{
    return (
        { username => 'all', custom_id => 'all-1', tags => [ 'one' ],
          id => id(1),
          keyauth_credentials => [ { key => 'k1', tags => [ 'key' ] },
                                   { key => 'k2' } ],
          basicauth_credentials => [ { username => 'u', password => 'p' } ],
          hmacauth_credentials => [ { username => 'h', secret => 's' } ],
          jwt_secrets => [
            { key => 'hs', secret => 's', algorithm => 'HS512' },
            { key => 'rs', secret => 's', algorithm => 'RS256',
              rsa_public_key => $public }
          ],
          oauth2_credentials => [
            { name => 'app', client_id => 'ci', client_secret => 'cs',
              client_type => 'public', hash_secret => \0,
              redirect_uris => [ 'http://a.test/', 'http://b.test/' ] }
          ],
          acls => [ { group => 'team' }, { group => 'b',
                                           tags => [ 'acl' ] } ],
          plugins => [
            { name => 'rate-limiting', config => { second => 1 } }
          ] },
        { username => 'named' },
        { custom_id => 'numbered' }
    );
}

sub upstreams
{
    return (
        { name => 'plain.test', targets => [
            { target => '10.0.0.1:80' },
            { target => '[0000:0000:0000:0000:0000:0000:0000:0001]:80',
              weight => 0, tags => [ 'six' ] },
            { target => 'name.test:8000', weight => 1000 } ] },
        { name => 'all.test', algorithm => 'consistent-hashing',
          hash_on => 'header', hash_on_header => 'x-a', slots => 100,
          hash_fallback => 'cookie', hash_on_cookie => 'c',
          hash_on_cookie_path => '/p', host_header => 'h.test',
          use_srv_name => \1, tags => [ 'one' ],
          client_certificate => { id => id(3) },
          healthchecks => {
            threshold => 12.5,
            active => { type => 'https', http_path => '/h', timeout => 2,
                        concurrency => 3, https_sni => 's.test',
                        https_verify_certificate => \0,
                        headers => { 'x-a' => [ 'b' ] },
                        healthy => { interval => 5, successes => 1,
                                     http_statuses => [ 200 ] },
                        unhealthy => { interval => 6, timeouts => 2,
                                       tcp_failures => 3 } },
            passive => { unhealthy => { http_statuses => [ 503 ],
                                        http_failures => 4 } } },
          targets => [ { target => '10.0.0.2:81' } ] },
        { name => 'connections.test', algorithm => 'least-connections' },
        { name => 'latency.test', algorithm => 'latency' },
        { name => 'argument.test', algorithm => 'consistent-hashing',
          hash_on => 'query_arg', hash_on_query_arg => 'q' }
    );
}

# every kind of entity
sub everything
{
    return {
        _format_version => '3.0',
        services => [
            { name => 'plain', host => 'plain.test', port => 80,
              protocol => 'http', routes => [ routes() ] },
            { name => 'all', protocol => 'https', host => 'all.test',
              port => 8443, path => '/p', retries => 2,
              connect_timeout => 1, write_timeout => 2, read_timeout => 3,
              tls_verify => \1, tls_verify_depth => 2, enabled => \0,
              ca_certificates => [ id(2) ], tags => [ 'one', 't w' ],
              client_certificate => id(3),
              plugins => [ { name => 'key-auth',
                             config => { key_names => [ 'a', 'b' ] } } ] }
        ],
        routes => [ { name => 'alone', paths => [ '/alone' ] } ],
        consumers => [ consumers() ],
        upstreams => [ upstreams() ],
        certificates => [
            { id => id(3), %pair, tags => [ 'one' ],
              snis => [ { name => 'deck.test', tags => [ 'sni' ] },
                        { name => '*.deck.test' } ] },
            { id => id(4), %other }
        ],
        ca_certificates => [ { id => id(2), cert => $ca{cert},
                               tags => [ 'one' ] } ],
        vaults => [ { name => 'env', prefix => 'my-env', tags => [ 'one' ],
                      description => 'd', config => { prefix => 'A_' } } ],
        key_sets => [ { name => 'set' },
                      { name => 'no-keys', tags => [ 'one' ] } ],
        keys => [
            { name => 'jwk', kid => 'a', set => { name => 'set' },
              jwk => json_encode($jwk) },
            { name => 'pem', kid => 'b', tags => [ 'one' ],
              set => { name => 'set' },
              pem => { public_key => $public } }
        ],
        plugins => [
            { name => 'prometheus', config => { per_consumer => \1 } },
            { name => 'request-size-limiting', service => 'plain',
              route => 'all', consumer => 'named',
              config => { allowed_payload_size => 7 } },
            { name => 'request-termination', consumer => 'named',
              service => 'all', config => { status_code => 418 } },
            { name => 'proxy-cache', route => 'alone', consumer => 'named',
              config => { strategy => 'memory' } }
        ]
    };
}


# --- what the gateway has

my %kinds = map { $_ => 1 } qw(
    services routes consumers plugins upstreams certificates snis
    ca_certificates vaults key-sets keys key-auths basic-auths hmac-auths
    jwts oauth2 acls tags
);

sub rows
{
    my ($path) = @_;

    return $node->admin("/$path?size=1000")->json->{data};
}

# what tells the items of a list apart, the first that is given
my @NAMES = qw(id name username custom_id target group client_id key kid);

# the item of a list that is meant by this one, or that stands where it does
sub item_of
{
    my ($want, $list, $n) = @_;
    my ($name) = ref $want eq 'HASH' ? grep { exists $want->{$_} } @NAMES
                                     : ();

    return ref $want ? $list->[$n] : (grep { $_ eq $want } @$list)[0]
        if !defined $name;

    return (grep { text($_->{$name}) eq text($want->{$name}) } @$list)[0];
}

# booleans are 0 and 1; the line end of a PEM counts for nothing
sub text
{
    my ($v) = @_;

    $v = $$v if ref $v eq 'SCALAR';
    return $v ? 1 : 0 if ref $v;

    return ($v // '') =~ s/\s+$//r;
}

# the paths where what was given is not what is there; passwords are hashed,
# deprecated names are shown under the new one, too
sub missing
{
    my ($want, $got, $path) = @_;

    if (ref $want eq 'HASH') {
        return "$path: no object" if ref $got ne 'HASH';

        return map { missing($want->{$_}, $got->{$_}, "$path.$_") }
               grep { $_ ne 'password' } sort keys %$want;
    }

    if (ref $want eq 'ARRAY') {
        return "$path: other items" if ref $got ne 'ARRAY' || @$got != @$want;

        return map {
            missing($want->[$_], item_of($want->[$_], $got, $_), "$path.$_")
        } 0 .. $#$want;
    }

    return text($want) eq text($got)
           ? () : "$path: " . text($got) . ' for ' . text($want);
}


# --- every command, twice

my %all = %{ everything() };
my $file = $deck->file('kong.json', \%all);

like($deck->ok_deck('ping', 0, qw(gateway ping)),
     qr/Successfully connected to Kong!\s+Kong version:\s+3\.9\./,
     'the version');

for my $round (1 .. 2) {
    $deck->ok_deck("$round: validate", 0, qw(file validate), $file);
    $deck->ok_deck("$round: validate online", 0, qw(gateway validate), $file);

    my $text = $deck->ok_deck("$round: sync", 0, qw(gateway sync), $file);
    my ($n) = $text =~ /Created: (\d+)\s+Updated: 0\s+Deleted: 0/;
    cmp_ok($n || 0, '>', 90, "$round: all of it is new") or diag($text);

    $deck->no_diff("$round: diff", $file);
    $deck->changes("$round: sync again", [ 0, 0, 0 ], qw(gateway sync),
                   $file);

    for my $kind (sort keys %kinds) {
        cmp_ok(scalar @{ rows($kind) }, '>', 0, "$round: there: $kind");
    }

    # what was written is what is read; and what is read can be written
    my $dump = $deck->dump("$round: dump with ids", '--with-id');
    is(join("\n", map { missing($all{$_}, $dump->{$_}, $_) }
            grep { ref $all{$_} && !/^plugins$/ } sort keys %all), '',
       "$round: the same");
    is(scalar @{ $dump->{plugins} }, 4, "$round: plugins of no single scope");
    $deck->no_diff("$round: diff with what was dumped",
                   $deck->file('dumped.json', $deck->dump("$round: dump")));

    # changes of every kind of operation
    my $changed = everything();
    $changed->{services}[1]{port} = 8444;
    $changed->{services}[1]{tags} = [];
    $changed->{services}[0]{routes}[0]{headers} = { 'x-b' => [ 'c' ] };
    splice(@{ $changed->{services}[0]{routes} }, 1, 1);
    push @{ $changed->{consumers} }, { username => 'new',
        keyauth_credentials => [ { key => 'k3' } ] };
    $changed->{consumers}[0]{jwt_secrets}[0]{secret} = 'other';
    pop @{ $changed->{consumers}[0]{acls} };
    $changed->{upstreams}[0]{targets}[2]{weight} = 5;
    $changed->{upstreams}[1]{healthchecks}{active}{timeout} = 3;
    $changed->{certificates}[0]{snis} = [ { name => 'new.test' } ];
    $changed->{plugins}[0]{config} = { per_consumer => \0,
                                       latency_metrics => \1 };
    $changed->{keys}[1]{kid} = 'c';
    $changed->{vaults}[0]{config}{prefix} = 'B_';

    my $new = $deck->file('changed.json', $changed);
    $deck->ok_deck("$round: diff of changes", 2, qw(gateway diff
                   --non-zero-exit-code), $new);
    $deck->no_diff("$round: a diff changes nothing", $file);
    $text = $deck->ok_deck("$round: sync of changes", 0, qw(gateway sync),
                           $new);
    like($text, qr/$_/, "$round: $_") for
        'updating service all', 'updating route all', 'deleting route tcp',
        'creating consumer new', 'creating sni new.test',
        'deleting sni deck.test', 'updating plugin prometheus',
        'updating key pem', 'updating vault my-env', 'updating jwt-auth hs',
        'deleting acl-group b', 'updating upstream all.test';
    $deck->no_diff("$round: diff after the changes", $new);
    $deck->ok_deck("$round: and back", 0, qw(gateway sync), $file);
    $deck->no_diff("$round: diff after that", $file);

    $deck->ok_deck("$round: reset", 0, qw(gateway reset --force));
    is(join(' ', grep { @{ rows($_) } } sort keys %kinds), '',
       "$round: nothing is left");
}


# --- two teams on one gateway

my %team = map {
    my $team = $_;

    $team => $deck->file("$team.json", {
        _format_version => '3.0', _info => { select_tags => [ $team ] },
        services => [ { name => "of-$team", host => 'a.test',
                        routes => [ { name => "at-$team",
                                      paths => [ "/$team" ] } ],
                        plugins => [ { name => 'cors' } ] } ],
        consumers => [ { username => "at-$team", keyauth_credentials => [
                         { key => $team } ] } ]
    })
} qw(red blue);

$deck->changes("team $_", [ 5, 0, 0 ], qw(gateway sync), $team{$_})
    for sort keys %team;
$deck->no_diff("team $_: diff", $team{$_}) for sort keys %team;
is(join(' ', map { $_->{name} } @{ $deck->dump('dump of one', '--select-tag',
                                               'red')->{services} }),
   'of-red', 'dump by tag');
$deck->changes('team blue leaves', [ 0, 0, 5 ], qw(gateway sync),
               $deck->file('none.json', { _format_version => '3.0',
                   _info => { select_tags => [ 'blue' ] } }));
$deck->no_diff('team red stays', $team{red});
$deck->ok_deck('reset of a tag', 0, qw(gateway reset --force --select-tag
               red));
is(join(' ', grep { @{ rows($_) } } sort keys %kinds), '', 'nothing is left');


# --- what is wrong is refused, in Kong's words

my $wrong = $deck->file('wrong.json', {
    _format_version => '3.0', services => [
        { name => 'wrong', host => 'a.test', plugins => [
            { name => 'rate-limiting', config => { minute => -1 } } ] } ]
});
like($deck->ok_deck('validate of what is wrong', 1, qw(gateway validate),
                    $wrong),
     qr/minute: value must be greater than 0/, 'the field');
like($deck->ok_deck('sync of what is wrong', 1, qw(gateway sync), $wrong),
     qr/minute: value must be greater than 0/, 'the field, again');
$deck->ok_deck('reset', 0, qw(gateway reset --force));


# --- many

my $many = $deck->file('many.json', {
    _format_version => '3.0', services => [ map {
        my $n = $_;

        +{ name => "s$n", host => '127.0.0.1', port => 9, retries => 0,
           routes => [ map { +{ name => "r$n-$_",
                                paths => [ "/many/$n/$_" ] } } 1 .. 3 ] }
    } 1 .. 1000 ]
});

my $text = $deck->changes('1,000 services, 3,000 routes', [ 4000, 0, 0 ],
                          qw(gateway sync), $many);
unlike($text, qr/error/i, 'without an error');
$deck->no_diff('diff of many', $many);
ok(wait_until(20, sub { $node->get('/many/1000/3')->status == 502
                        && $node->get('/many/1/1')->status == 502 }),
   'they are served');
is(scalar @{ $deck->dump('dump of many')->{services} }, 1000, 'all of them');


# --- without a database: reads only; with tokens: only who has one

my $off = node_start(config => {
    _format_version => '3.0', services => [
        { name => 's', host => 'a.test',
          routes => [ { name => 'r', paths => [ '/' ] } ] } ],
    consumers => [ { username => 'c',
                     keyauth_credentials => [ { key => 'k' } ] } ]
}, env => { KONG_ADMIN_TOKENS => 'admin:deck-token-0123456789' });

like(deck_new($off)->ok_deck('no token', 1, qw(gateway ping)), qr/\b401\b/,
     'is refused');

my $reader;

for my $header ('Authorization:Bearer deck-token-0123456789',
                'Kong-Admin-Token:deck-token-0123456789') {
    $reader = deck_new($off, '--headers', $header);
    $reader->ok_deck($header, 0, qw(gateway ping));
}

my $dump = $reader->dump('dump without a database');
is($dump->{services}[0]{routes}[0]{name}, 'r', 'a route');
is($dump->{consumers}[0]{keyauth_credentials}[0]{key}, 'k', 'a key');
like($reader->ok_deck('no sync without a database', 1, qw(gateway sync),
                      $team{red}),
     qr/cannot create or update '\w+' entities when not using a database/,
     'in the words of Kong');

finish();
