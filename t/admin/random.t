# Sixteen clients at two nodes of one database, doing anything in any order:
# no 5xx, no row lost or doubled, every key held.

use strict;
use warnings;

use KongHttp;
use KongNode;
use KongPg;
use KongTest;
use Test::More;

my $CLIENTS = 16;
my $STEPS = $ENV{KONG_TEST_LONG} ? 600 : 120;

pg_skip();

my $pg = pg_new();
my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
    build() . '/kong', 'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrapped') or diag($out . $err);

my @nodes = map { node_start(env => { $pg->env }) } 1 .. 2;
my $dir = temp_dir('random');
my @pids;

for my $n (1 .. $CLIENTS) {
    push @pids, spawn({ STDOUT => "$dir/$n.out" }, sub {
        client($n, $nodes[$n % 2]{admin});
        POSIX::_exit(0);
    });
}

for my $pid (@pids) {
    waitpid($pid, 0);
    is($?, 0, "client $pid ended well");
    kill_pid($pid);
}

# what each client says it has left behind: its own rows, each once
my (%want, %codes);

for my $n (1 .. $CLIENTS) {
    for my $line (split(/\n/, slurp("$dir/$n.out"))) {
        my ($kind, $name, $value) = split(/ /, $line);

        if ($kind eq 'status') {
            $codes{$name} += $value;
        } else {
            $want{"$kind $name"} = $value;
        }
    }
}

my @bad = grep { $_ >= 500 || $_ == 0 } keys %codes;
is("@bad", '', 'no answer is a 5xx') or diag(join("\n",
    map { $_->error_log =~ /((?:.*admin: the database.*\n)+)/ } @nodes));
cmp_ok($codes{201} || 0, '>', 100, 'rows were made');
cmp_ok($codes{409} || 0, '>', 5, 'names were contested');
note(join(', ', map { "$_: $codes{$_}" } sort keys %codes));

my %got;
$got{"consumer $_->[0]"} = $_->[1] for
    map { [ split(/\|/) ] } split(/\n/, $pg->query(
    "SELECT username, custom_id FROM consumers WHERE username LIKE 'own-%'"));
$got{"service $_->[0]"} = $_->[1] for
    map { [ split(/\|/) ] } split(/\n/, $pg->query(
    "SELECT name, retries FROM services WHERE name LIKE 'own-%'"));

is_deeply(\%got, \%want, 'every client finds its rows as it left them');

# the rules that constraints do not cover, and those that they do
my %zero = (
    'a plugin twice' => "SELECT count(*) FROM (SELECT 1 FROM plugins
        GROUP BY name, route_id, service_id, consumer_id HAVING count(*) > 1)
        x",
    'a target twice' => "SELECT count(*) FROM (SELECT 1 FROM targets
        GROUP BY upstream_id, target HAVING count(*) > 1) x",
    'a cache key of another row' => "SELECT count(*) FROM plugins WHERE
        cache_key <> concat_ws(':', 'plugins', name,
        coalesce(route_id::text, ''), coalesce(service_id::text, ''),
        coalesce(consumer_id::text, ''), '', ws_id)",
    'a cache key of another target' => "SELECT count(*) FROM targets WHERE
        cache_key <> concat_ws(':', 'targets', upstream_id, target, '', '',
        '', ws_id)",
    'rows of no workspace' => "SELECT (SELECT count(*) FROM services
        WHERE ws_id IS NULL) + (SELECT count(*) FROM plugins
        WHERE ws_id IS NULL) + (SELECT count(*) FROM keyauth_credentials
        WHERE ws_id IS NULL)",
    'orphans' => "SELECT (SELECT count(*) FROM routes r WHERE NOT EXISTS
        (SELECT FROM services s WHERE s.id = r.service_id)) +
        (SELECT count(*) FROM keyauth_credentials k WHERE NOT EXISTS
        (SELECT FROM consumers c WHERE c.id = k.consumer_id))",
    'tags of no row' => "SELECT count(*) FROM tags t
        WHERE entity_name = 'services' AND NOT EXISTS
        (SELECT FROM services s WHERE s.id = t.entity_id)",
);

is($pg->query($zero{$_}), '0', "none: $_") for sort keys %zero;

# every unique key and every foreign key of the catalog, counted anew: an
# index that lies would not be believed
my $keys = $pg->query(<<'SQL');
SELECT c.contype, c.conrelid::regclass, c.confrelid::regclass,
    (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY k.n)
     FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, n)
     JOIN pg_attribute a ON a.attrelid = c.conrelid
                         AND a.attnum = k.attnum),
    (SELECT string_agg(quote_ident(a.attname), ',' ORDER BY k.n)
     FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, n)
     JOIN pg_attribute a ON a.attrelid = c.confrelid
                         AND a.attnum = k.attnum)
FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
WHERE c.contype IN ('u', 'p', 'f') AND n.nspname = 'public'
ORDER BY 2, 1, c.conname
SQL

my (%kinds, @broken);

for my $line (split(/\n/, $keys)) {
    my ($kind, $table, $other, $own, $theirs) = split(/\|/, $line);
    my $null = join(' OR ', map { "$_ IS NULL" } split(/,/, $own));

    $kinds{$kind}++;

    my $n = $kind eq 'f'
        ? $pg->query("SELECT count(*) FROM $table WHERE NOT ($null) AND
              ($own) NOT IN (SELECT $theirs FROM $other)")
        : $pg->query("SELECT count(*) FROM (SELECT 1 FROM $table
              WHERE NOT ($null) GROUP BY $own HAVING count(*) > 1) x");

    push @broken, "$table ($own): $n" if $n ne '0';
}

is("@broken", '', 'every key of the catalog is held');
cmp_ok($kinds{f} || 0, '>', 20, 'foreign keys were counted');
cmp_ok($kinds{u} || 0, '>', 20, 'unique keys were counted');

# both nodes show what the database has
for my $node (@nodes) {
    my ($n, $next) = (0, '/consumers?size=37');

    while (defined $next) {
        my $page = $node->admin($next)->json;
        $n += @{ $page->{data} };
        $next = $page->{next};
    }

    is($n, $pg->query('SELECT count(*) FROM consumers'),
       "node $node->{n}: pages have every row once");
}

finish();


sub client
{
    my ($n, $port) = @_;
    my (%codes, %own);

    srand($n);

    my $c = KongHttp->connect($port);
    my $call = sub {
        my ($method, $path, $body) = @_;
        my $r = $c->request($path, method => $method,
            headers => { 'Content-Type' => 'application/json' },
            defined $body ? (body => json_encode($body)) : ());

        $codes{ $r->status }++;
        $c = KongHttp->connect($port) if !$r->status;
        return $r;
    };

    # names that all want, and names that are this client's alone
    my $any = sub { 'any-' . int(rand(8)) };

    for my $step (1 .. $STEPS) {
        my $mine = "own-$n-" . int(rand(6));
        my $value = "v$n-$step";
        my $what = int(rand(14));

        if ($what == 0) {
            my $r = $call->('PUT', "/consumers/$mine",
                            { custom_id => $value });
            $own{"consumer $mine"} = $value if $r->status == 200;

        } elsif ($what == 1) {
            my $r = $call->('PATCH', "/consumers/$mine",
                            { custom_id => $value });
            $own{"consumer $mine"} = $value if $r->status == 200;

        } elsif ($what == 2) {
            my $r = $call->('DELETE', "/consumers/$mine");
            delete $own{"consumer $mine"} if $r->status == 204;

        } elsif ($what == 3) {
            my $r = $call->('POST', '/services',
                { name => $mine, host => 'h', retries => $step });
            $own{"service $mine"} = $step if $r->status == 201;

        } elsif ($what == 4) {
            my $r = $call->('PATCH', "/services/$mine",
                            { retries => $step, tags => [ "t$n" ] });
            $own{"service $mine"} = $step if $r->status == 200;

        } elsif ($what == 5) {
            $call->('POST', '/services',
                    { name => $any->(), host => "h$n", tags => [ 'a' ] });

        } elsif ($what == 6) {
            $call->('DELETE', '/services/' . $any->());

        } elsif ($what == 7) {
            $call->('POST', '/services/' . $any->() . '/routes',
                    { name => $any->(), paths => [ "/p$n" ] });

        } elsif ($what == 8) {
            $call->('DELETE', '/routes/' . $any->());

        } elsif ($what == 9) {
            $call->('POST', '/plugins', {
                name => 'key-auth', service => { name => $any->() } });

        } elsif ($what == 10) {
            $call->('PUT', '/upstreams/' . $any->() . '.test', {});
            $call->('POST', '/upstreams/' . $any->() . '.test/targets',
                    { target => '10.0.0.' . int(rand(4)) });

        } elsif ($what == 11) {
            $call->('PUT', '/consumers/' . $any->(), {});
            $call->('POST', '/consumers/' . $any->() . '/key-auth',
                    { key => $any->() });

        } elsif ($what == 12) {
            $call->('DELETE', '/consumers/' . $any->());

        } else {
            $call->('GET', '/services?size=5&tags=a');
            $call->('GET', '/plugins');
        }
    }

    print map { "status $_ $codes{$_}\n" } keys %codes;
    print map { "$_ $own{$_}\n" } keys %own;
    close(STDOUT);
}
