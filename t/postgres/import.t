# kong config db_import and db_export: a file into a database and out again.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongPg;
use KongRows;
use KongTest;
use Test::More;

pg_skip();

my $pg = pg_new();
my $upstream = echo_start();
my $kong = build() . '/kong';
my $dir = temp_dir();

sub config
{
    my (@args) = @_;

    return run({ env => { $pg->env }, timeout => 60, dir => $dir }, $kong,
               'config', @args);
}

my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 }, $kong,
                           'migrations', 'bootstrap', '-q');
is($rc, 0, 'bootstrap') or diag($err);

my $data = {
    _format_version => '3.0',
    services => [ {
        name => 's', host => '127.0.0.1', port => $upstream + 0,
        tags => ['one', 'two "quoted"'],
        routes => [ {
            name => 'r', paths => ['/r', '~/x\\d+$'], methods => ['GET'],
            headers => { 'x-its' => ['a"b', '{c}'] },
        }, { name => 'plain', paths => ['/plain'] } ],
        plugins => [ { name => 'key-auth',
                       config => { key_names => ['k'] } } ],
    } ],
    consumers => [ {
        username => 'bob', custom_id => 'b-1',
        keyauth_credentials => [
            { id => uuid_of('k1'), key => 'secret' },
            { id => uuid_of('k2'), key => 'short', ttl => time() + 1000 } ],
        basicauth_credentials => [ { username => 'b', password => 'p' } ],
        acls => [ { group => 'g' } ],
    } ],
    upstreams => [ { name => 'u', targets => [ { target => '127.0.0.1:1' } ],
                     healthchecks => { active => { concurrency => 7 } } } ],
    vaults => [ { prefix => 'my', name => 'env',
                  config => { prefix => 'X_' } } ],
};

my $file = spit("$dir/in.json", json_encode($data));

($rc, $out, $err) = config('db_import', $file);
is("$rc$err", '0', 'db_import');
is($out, "parse successful, beginning import\nimport successful\n", 'texts');

is($pg->query("SELECT tags[2], ws_id = (SELECT id FROM workspaces)
               FROM services"), 'two "quoted"|t', 'values are values');
is($pg->query("SELECT headers->'x-its'->>0 FROM routes WHERE name = 'r'"),
   'a"b', 'in maps, too');
like($pg->query('SELECT cache_key FROM plugins'),
     qr/^plugins:key-auth::[0-9a-f-]{36}:::[0-9a-f-]{36}$/, 'cache_key');
like($pg->query('SELECT cache_key FROM targets'),
     qr/^targets:[0-9a-f-]{36}:127\.0\.0\.1:1:+[0-9a-f-]{36}$/,
     'of targets');
is($pg->query("SELECT round(extract(epoch FROM ttl - now()) / 100)
               FROM keyauth_credentials WHERE key = 'short'"), 10,
   'a moment of expiry');
is($pg->query('SELECT count(*) FROM tags WHERE tags IS NOT NULL'), 1,
   'Kong\'s triggers have run');

my $before = $pg->query('SELECT count(*) FROM routes');
($rc, $out, $err) = config('db-import', $file);
is($rc, 0, 'again, with a hyphen') or diag($err);
is($pg->query('SELECT count(*) FROM routes'), $before,
   'the same ids: nothing twice');

my $node = node_start(env => { $pg->env });
is($node->get('/r?k=secret', headers => { 'x-its' => 'a"b' })->status, 200,
   'it is served');
is($node->get('/plain')->status, 401, 'with its plugins');

# what the document names has an id of its name, as in Kong: the second import
# finds it, whatever of the rest has changed.  What nothing names is another
# one each time, in Kong as well
my $unnamed = {
    _format_version => '3.0',
    consumers => [ {
        username => 'twice',
        basicauth_credentials => [ { username => 'tb', password => 'p' } ],
        hmacauth_credentials => [ { username => 'th', secret => 's' } ],
        jwt_secrets => [ { secret => 'any' } ],
        acls => [ { group => 'tg' } ],
    } ],
    services => [ { name => 'twice', host => 'x.test', port => 1,
                    routes => [ { paths => ['/unnamed'] } ],
                    plugins => [ { name => 'cors' } ] } ],
    upstreams => [ { name => 'twice.test',
                     targets => [ { target => '127.0.0.1:9' } ] } ],
    snis => [],
};
my @tables = qw(basicauth_credentials hmacauth_credentials acls plugins
    targets services);

sub ids
{
    return join("\n", map {
        my $table = $_;
        map { "$table $_" } sort split(/\n/, $pg->query(
            "SELECT id FROM $table"))
    } @tables);
}

my $again = spit("$dir/unnamed.json", json_encode($unnamed));
is((config('db_import', $again))[0], 0, 'credentials without ids');
my $ids = ids();
my $secrets = $pg->query('SELECT count(*) FROM jwt_secrets');
my $routes = $pg->query("SELECT count(*) FROM routes WHERE name IS NULL");
$unnamed->{consumers}[0]{basicauth_credentials}[0]{password} = 'other';
$unnamed->{consumers}[0]{custom_id} = 'changed';
spit($again, json_encode($unnamed));
($rc, $out, $err) = config('db_import', $again);
is($rc, 0, 'a second time') or diag($err);
is(ids(), $ids, 'they are the same');
is($pg->query('SELECT count(*) FROM jwt_secrets'), $secrets + 1,
   'a secret whose key is made up is another one');
is($pg->query("SELECT count(*) FROM routes WHERE name IS NULL"),
   $routes + 1, 'a route without a name, too');

# a key that Kong would make up when it is left out names nothing: its id is
# another one each time, and the key is taken
for my $case (
    [ keyauth_credentials => { key => 'tk' } ],
    [ jwt_secrets => { key => 'tj', secret => 's' } ],
    [ oauth2_credentials => { name => 'to', client_id => 'ti',
                              redirect_uris => ['https://x.test/'] } ])
{
    my ($table, $row) = @$case;
    my $file = spit("$dir/$table.json", json_encode({
        _format_version => '3.0',
        consumers => [ { username => 'twice', $table => [$row] } ] }));
    my $all = "SELECT id FROM $table ORDER BY id";
    my %was = map { $_ => 1 } split(/\n/, $pg->query($all));

    is((config('db_import', $file))[0], 0, "$table without ids");
    my $before = $pg->query($all);
    ($rc, $out, $err) = config('db_import', $file);
    is($rc, 1, "$table, a second time");
    like($err, qr/^Error: Failed importing:\n.*unique/, 'is refused');
    is($pg->query($all), $before, 'and changes nothing');

    ($row->{id}) = grep { !$was{$_} } split(/\n/, $before);
    spit($file, json_encode({
        _format_version => '3.0',
        consumers => [ { username => 'twice', $table => [$row] } ] }));
    is((config('db_import', $file))[0], 0, "$table with ids");
    is($pg->query($all), $before, 'is as often as one likes');
}

$pg->query("DELETE FROM consumers WHERE username = 'twice'");
$pg->query("DELETE FROM upstreams WHERE name = 'twice.test'");
$pg->query("DELETE FROM plugins WHERE name = 'cors'");
$pg->query('DELETE FROM routes WHERE name IS NULL');
$pg->query("DELETE FROM services WHERE name = 'twice'");

# a whole import is one change, or none
$data->{services}[0]{routes}[1]{paths} = ['/changed'];
spit($file, json_encode($data));
is((config('db_import', $file))[0], 0, 'a changed file');
is($node->wait_status('/changed', 401)->status, 401, 'is live');

$data->{services}[0]{routes}[1]{paths} = ['/never'];
$data->{services}[0]{routes}[1]{name} = 'other';
$data->{consumers}[0]{id} = uuid_of('another');
spit($file, json_encode($data));
($rc, $out, $err) = config('db_import', $file);
is($rc, 1, 'a name that is taken');
like($err, qr/^Error: Failed importing:\n.*unique/,
     'says so');
is($pg->query("SELECT count(*) FROM routes WHERE name = 'other'"), 0,
   'nothing of it is there');

($rc, $out, $err) = config('db_import', spit("$dir/bad.yml", "what: 1\n"));
is($rc, 1, 'a bad file');
like($err, qr/^Error: Failed parsing:/, 'Kong\'s words');

# out again, into another database, and the same
($rc, $out, $err) = config('db_export');
is("$rc$err", '0', 'db_export');
my $text = slurp("$dir/kong.yml");
is((stat("$dir/kong.yml"))[2] & 0777, 0600, 'credentials are private');

($rc, $out, $err) = config('db_export');
is($rc, 1, 'a second time');
like($err, qr/kong\.yml already exists/, 'nothing is overwritten');

$pg->create('second');
my %second = $pg->env(database => 'second');
run({ env => \%second, timeout => 60 }, $kong, 'migrations', 'bootstrap',
    '-q');
($rc, $out, $err) = run({ env => \%second, timeout => 60 }, $kong, 'config',
                        'db_import', "$dir/kong.yml");
is($rc, 0, 'imported') or diag($err);
($rc, $out, $err) = run({ env => \%second, timeout => 60 }, $kong, 'config',
                        'db_export', "$dir/second.yml");
is($rc, 0, 'and exported') or diag($err);
# who writes a row says when
my $second = slurp("$dir/second.yml");
s/updated_at: .*//g for $text, $second;
is($second, $text, 'the round trip keeps every row');

# the database comes from a file that has hashed passwords already
is($pg->query('SELECT password FROM basicauth_credentials'),
   $pg->query('SELECT password FROM basicauth_credentials',
              database => 'second'), 'hashes are not hashed again');

($rc, $out, $err) = run({ env => { KONG_DATABASE => 'off' } }, $kong,
                        'config', 'db_import', $file);
is($rc, 1, 'without a database');
like($err, qr/^Error: 'kong config db_import' only works with a database\./,
     'Kong\'s words');

finish();
