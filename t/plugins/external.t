# A plugin of somebody else: config/plugin-example is built as a stranger
# builds it (nginx's configure, our headers), loaded beside our module with
# load_module, and its schema is a file.  It validates, publishes, runs,
# reloads; what does not fit is refused with a line that says why.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $conf_flags = '/usr/share/nginx/src/conf_flags';

plan_skip('nginx-dev is not installed') if !-f $conf_flags;

my $upstream = echo_start();
my $dir = temp_dir('external');
my $source = "$dir/source";
my $include = "$dir/include";

# copies: the sources are changed below
run('cp', '-R', top() . '/config/plugin-example', $source);
run('cp', '-R', top() . '/ngx_kong_module', $include);
mkdir("$dir/schemas");


# --- building

sub build_module
{
    my ($out) = @_;
    my $configure = -f "$dir/objs/Makefile" ? '' : <<"END";
. $conf_flags
cd /usr/share/nginx/src
./configure "\${NGX_CONF_FLAGS[\@]}" --builddir=$dir/objs \\
    --with-cc-opt='-O2 -fPIC -Wall -Wextra -Werror -Wno-unused-parameter' \\
    --add-dynamic-module=$source > $dir/configure.log
END

    my ($rc, $stdout, $stderr) = run({
        timeout => 300, env => { KONG_INCLUDE => $include,
                                 MAKEFLAGS => undef, MFLAGS => undef }
    }, 'bash', '-c', "set -e\n$configure cd /usr/share/nginx/src\n"
                     . "make -f $dir/objs/Makefile modules\n"
                     . "cp $dir/objs/ngx_http_x_tenant_module.so $out");

    is($rc, 0, "$out is built") or diag($stdout . $stderr);
}

sub change
{
    my ($file, $from, $to) = @_;
    my $text = slurp($file);

    $text =~ s/$from/$to/ or die "$file: no $from";
    spit($file, $text);
}

build_module("$dir/x_tenant.so");

# the same for an interface that does not exist, and with a name of ours
my $header = slurp("$include/plugins/ngx_kong_plugin.h");
spit("$include/plugins/ngx_kong_plugin.h",
     $header =~ s/(#define NGX_KONG_INTERFACE\s+)\d+/${1}4711/r);
build_module("$dir/other.so");
spit("$include/plugins/ngx_kong_plugin.h", $header);
change("$source/ngx_http_x_tenant_module.c", qr/ngx_string\("x-tenant"\)/,
       'ngx_string("cors")');
build_module("$dir/taken.so");


# --- a node with it

my $schema = slurp(top() . '/config/plugin-example/x-tenant.yml');

sub settings
{
    my (%o) = @_;

    return {
        KONG_PLUGINS => 'bundled, x-tenant',
        KONG_PLUGIN_SCHEMAS => "$dir/schemas",
        KONG_NGINX_MAIN_LOAD_MODULE => "$dir/x_tenant.so",
        %o
    };
}

sub config
{
    my (%plugin) = @_;

    return {
        _format_version => '3.0',
        consumers => [ { username => 'c',
                         keyauth_credentials => [ { key => 'k' } ] } ],
        services => [ {
            name => 's', url => "http://127.0.0.1:$upstream",
            routes => [
                { name => 'r', paths => ['/r'],
                  plugins => [ { name => 'x-tenant', %plugin } ] },
                { name => 'k', paths => ['/k'], plugins => [
                    { name => 'x-tenant', config => { allow => ['none'] } },
                    { name => 'key-auth' } ] },
                { name => 'plain', paths => ['/plain'] }
            ]
        } ]
    };
}

sub ask
{
    my ($node, $path, $host, %o) = @_;

    return $node->get($path, host => $host, %o);
}

spit("$dir/schemas/x-tenant.yml", $schema);
spit("$dir/schemas/README", 'not a schema');

my $node = node_start(env => settings(), config => config(
    config => { allow => ['Acme', 'initech'] }),
    allow => qr/built for another ngx_http_kong_module/);
my $a = ask($node, '/r/1', 'acme.example.com');

is($a->status, 200, 'a tenant that is allowed');
is($a->up('x-tenant'), 'acme', 'goes upstream');
like($a->header('vary') || '', qr/\bHost\b/, 'the header filter runs');
is(ask($node, '/r/1', 'INITECH.example.com')->up('x-tenant'), 'initech',
   'whatever its case');

$a = ask($node, '/r/1', 'evil.example.com');
is($a->status, 403, 'another one');
is($a->json->{message}, 'Unknown tenant', 'is told');
like($a->header('vary') || '', qr/\bHost\b/, 'with the filter');
is(ask($node, '/r/1', 'evil.example.com', method => 'HEAD')->status, 403,
   'HEAD');
is(ask($node, '/plain', 'evil.example.com')->status, 200,
   'a route without it');
is(ask($node, '/k', 'a.b')->status, 401, 'priority: key-auth comes first');
is($node->get('/k', headers => { apikey => 'k' })->status, 403, 'then it');

# --- the Admin API knows it like one of ours

$a = $node->admin('/schemas/plugins/x-tenant');
is($a->status, 200, '/schemas/plugins/x-tenant');
my %fields = map { %$_ } @{ $a->json->{fields} };
my %config = map { %$_ } @{ $fields{config}{fields} };
is($config{header}{default}, 'X-Tenant', 'a default');
is_deeply($config{status}{between}, [400, 599], 'a rule');
is_deeply($a->json->{entity_checks},
          [ { mutually_exclusive => ['config.allow', 'config.deny'] } ],
          'a check');
ok((grep { $_ eq 'x-tenant' }
    @{ $node->admin('/plugins/enabled')->json->{enabled_plugins} }),
   'enabled');
is_deeply($node->admin('/')->json->{plugins}{available_on_server}{'x-tenant'},
          { version => '1.0.0', priority => 850 }, 'available');
my ($row) = grep { $_->{name} eq 'x-tenant' }
            @{ $node->admin('/plugins')->json->{data} };
is($row->{config}{status}, 403, 'defaults are filled');
is_deeply($row->{protocols}, ['grpc', 'grpcs', 'http', 'https'],
          'and protocols');

sub fields_of
{
    my ($answer) = @_;
    my ($entity) = @{ $answer->json->{flattened_errors} || [] };

    return join('; ', sort map {
        ($_->{field} || '@entity') . ': ' . (join(' ', @{ $_->{messages}
        || [] }) || $_->{message})
    } @{ $entity->{errors} || [] });
}

my @bad = (
    [ { status => 200 }, 'config.status: value should be between 400 and '
                         . '599' ],
    [ { status => 'x' }, 'config.status: expected an integer' ],
    [ { header => 'a b' }, qr/^config\.header: bad header name 'a b'/ ],
    [ { allow => [1] }, 'config.allow.1: expected a string' ],
    [ { color => 'red' }, 'config.color: unknown field' ],
    [ { allow => ['a'], deny => ['b'] },
      qr/only one or none of these fields must be set/ ],
);

for my $case (@bad) {
    my ($config, $want) = @$case;
    my $answer = $node->post_config(config(config => $config),
                                    query => '?flatten_errors=1');
    my $name = json_encode($config);

    is($answer->status, 400, "$name is refused");

    if (ref $want) {
        like(fields_of($answer), $want, 'and how');

    } else {
        is(fields_of($answer), $want, 'and how');
    }
}

is(ask($node, '/r', 'acme.x')->status, 200, 'the one before is served');

# --- publishes, reloads

for my $n (1 .. 5) {
    my $answer = $node->post_config(config(config => {
        deny => ["t$n"], status => 450 + $n, header => "X-T$n" }));

    is($answer->status, 201, "publish $n");
    is(ask($node, '/r', "t$n.x")->status, 450 + $n, 'refused so');
    is(ask($node, '/r', 'other.x')->up("x-t$n"), 'other', 'sent so');
}

my @before = $node->worker_pids;
my ($rc, $out, $err) = $node->kong('reload', '-p', $node->{prefix});
is($rc, 0, 'kong reload') or diag($out . $err);

ok(wait_until(20, sub {
    my %old = map { $_ => 1 } @before;
    my @now = $node->worker_pids;

    @now && !grep { $old{$_} } @now;
}), 'new workers');

# the file is read again by a reload
$a = ask($node, '/r', 'acme.x');
ok(wait_until(10, sub { ask($node, '/r', 'acme.x')->status == 200 }),
   'serve it');
is(ask($node, '/r', 'evil.x')->status, 403, 'as the file says')
    or diag($node->logs);

# a module that does not fit keeps nginx as it is

{
    local $node->{env}{KONG_NGINX_MAIN_LOAD_MODULE} = "$dir/other.so";

    ($rc, $out, $err) = $node->kong('reload', '-p', $node->{prefix});
    like($out . $err . $node->error_log, qr/another ngx_http_kong_module/,
         'a reload with a module that does not fit');
    is(ask($node, '/r', 'evil.x')->status, 403, 'serves as before');
}

# a schema that has changed waits for a restart; one more does not
spit("$dir/schemas/x-tenant.yml", $schema =~ s/default: 403/default: 499/r);
spit("$dir/schemas/second.json", json_encode({
    name => 'second', version => '0.1', priority => 1, fields => [
        { config => { type => 'record', required => JSON::PP::true(),
                      fields => [] } } ] }));
$node->{env}{KONG_PLUGINS} = 'bundled,x-tenant,second';
($rc, $out, $err) = $node->kong('reload', '-p', $node->{prefix});
is($rc, 0, 'a reload with another schema') or diag($out . $err);
ok(wait_until(10, sub {
    $node->error_log =~ /x-tenant\.yml:.* has changed: it takes effect/;
}), 'the log says that a changed one is not taken');
ok(wait_until(10, sub {
    $node->admin('/schemas/plugins/second')->status == 200;
}), 'a new one is known');

# a schema without code: the publish is refused and names it
my $config = config(config => {});
push @{ $config->{plugins} }, { name => 'second', config => {} };
$a = $node->post_config($config);
cmp_ok($a->status, '>=', 400, 'no module has it: ' . $a->status);
like($a->body . $node->error_log,
     qr/no loaded module has the plugin .{0,2}second/, 'which is said');
is(ask($node, '/r', 'evil.x')->status, 403, 'the one before is served');

spit("$dir/schemas/x-tenant.yml", $schema);
unlink("$dir/schemas/second.json");


# --- what does not start

sub refused
{
    my ($name, $like, %env) = @_;
    my $other = node_new(config => { _format_version => '3.0' },
                         env => settings(%env),
                         allow => qr/x_tenant|plugin|dlopen/);
    my ($code, $stdout, $stderr) = $other->start;

    isnt($code, 0, "$name: no start");
    like($stdout . $stderr . $other->error_log, $like, "$name: why");
}

refused('another interface',
        qr/built for another ngx_http_kong_module \(interface 4711, this/,
        KONG_NGINX_MAIN_LOAD_MODULE => "$dir/other.so");
refused('a name that is taken',
        qr/a plugin cannot be named "cors": there is one of that name/,
        KONG_NGINX_MAIN_LOAD_MODULE => "$dir/taken.so");
refused('a name without a schema',
        qr/plugins: x-other plugin is enabled but not installed/,
        KONG_PLUGINS => 'bundled,x-other');
refused('no such folder', qr{plugin_schemas: \Q$dir\E/none: No such file},
        KONG_PLUGIN_SCHEMAS => "$dir/none");

# before our module, its functions are not there yet
my $nginx = spit("$dir/nginx.conf", <<"END");
load_module $dir/x_tenant.so;
load_module @{[ build() ]}/ngx_http_kong_module.so;
error_log $dir/nginx.log;
pid $dir/nginx.pid;
events { }
http { access_log off; }
END

if (!sanitized()) {
    ($rc, $out, $err) = run(nginx_bin(), '-t', '-p', $dir, '-c', $nginx);
    isnt($rc, 0, 'loaded before ours');
    like($err, qr/undefined symbol: ngx_kong_\w+/, 'which nginx says');
}

# not enabled: as if it were not there
my $without = node_start(env => settings(KONG_PLUGINS => 'bundled'),
                         config => { _format_version => '3.0' });
$a = $without->post_config(config(config => {}),
                           query => '?flatten_errors=1');
is($a->status, 400, 'not among the plugins');
like(fields_of($a), qr/plugin 'x-tenant' not enabled; add it to the 'plugins'/,
     'Kong\'s words');
ok(!(grep { $_ eq 'x-tenant' } @{ $without->admin('/plugins/enabled')->json
                                  ->{enabled_plugins} }), 'nor listed');

# only it
my $only = node_start(env => settings(KONG_PLUGINS => 'x-tenant'),
                      config => { _format_version => '3.0' });
is_deeply($only->admin('/plugins/enabled')->json->{enabled_plugins},
          ['x-tenant'], 'the only one');


# --- the form is that of GET /schemas/plugins/NAME: each of ours that has no
# code of its own can be such a file, and what is read is what is shown

sub round
{
    my ($name, $from) = @_;
    my @docs = documents($from);

    mkdir("$dir/$name");
    spit("$dir/$name/$_->[0].json", json_encode({ %{ $_->[1] },
         name => "$name-$_->[0]", version => '1', priority => 1 })) for @docs;

    return \@docs, node_start(
        env => settings(KONG_PLUGIN_SCHEMAS => "$dir/$name",
                        KONG_PLUGINS => join(',', map { "$name-$_->[0]" }
                                                  @docs)),
        config => { _format_version => '3.0' });
}

sub documents
{
    my ($from) = @_;
    my @docs;

    for my $name (@{ $from->admin('/plugins/enabled')->json
                     ->{enabled_plugins} }) {
        my $answer = $from->admin("/schemas/plugins/$name");

        next if $answer->body =~ /custom_entity_check/;

        my $doc = $answer->json;
        my ($config) = map { $_->{config} || () } @{ $doc->{fields} };

        # names of old that are more than another name
        next if grep { !($_->{deprecation} || {})->{replaced_with} }
                map { values %$_ } @{ $config->{shorthand_fields} || [] };

        push @docs, [ $name, $doc ];
    }

    return @docs;
}

my ($ours, $first) = round('x', $without);
my ($read, $second) = round('y', $first);

cmp_ok(scalar @$ours, '>', 20, 'plugins go through a file');
is(scalar @$read, scalar @$ours, 'and once more');

for my $case (@$read) {
    my ($name, $doc) = @$case;

    is_deeply($second->admin("/schemas/plugins/y-$name")->json, $doc,
              "$name comes back");
}


# --- faults of a file, with their place

my @faults = (
    [ "name: [\n", qr/^Error: \S+x\.yml:\d+:\d+: / ],
    [ '[]', qr/x\.yml:1: must be a map/ ],
    [ "a: 1\n---\nb: 2\n", qr/x\.yml:1: must hold one document/ ],
    [ "name: x\nfields: []\nversion: '1'\npriority: high\n",
      qr/x\.yml:4: priority: must be an integer/ ],
    [ "name: x\nversion: '1'\npriority: 1\n", qr/x\.yml:1: fields: is miss/ ],
    [ "name: x\ncolor: red\n", qr/x\.yml:2: color: is unknown/ ],
    [ "name: Tenant\n", qr/x\.yml:1: name: must be up to 64 small letters/ ],
    [ "version: '1'\nname: cors\n",
      qr/x\.yml:2: name: "cors" is a bundled plugin/ ],
    [ [ '- config: { type: record, required: true, fields: [ ] }',
        '- consumer: { type: foreign, reference: consumers }' ],
      qr/x\.yml:6: fields\.consumer: can only be forbidden/ ],
    [ [ '- config: { type: record, fields: [ ] }' ],
      qr/x\.yml:5: fields\.config: must be a required record/ ],
    [ [ '- other: { type: string }' ],
      qr/x\.yml:5: fields\.other: is none of config/ ],
    [ [ '- config:', '    type: record', '    required: true', '    fields:',
        '    - a: { type: strin }' ],
      qr/x\.yml:9: fields\.config\.fields\.a: needs a "type"/ ],
    [ [ '- config:', '    type: record', '    required: true', '    fields:',
        '    - a: { type: string, gt: 1 }' ],
      qr/x\.yml:9: fields\.config\.fields\.a: "gt" is nothing for this/ ],
    [ [ '- config:', '    type: record', '    required: true', '    fields:',
        '    - a: { type: integer, default: many }' ],
      qr/x\.yml:9: fields\.config\.fields\.a: the default is of another/ ],
    [ [ '- config:', '    type: record', '    required: true', '    fields:',
        '    - a: { type: string, colour: red }' ],
      qr/x\.yml:9: fields\.config\.fields\.a: unknown attribute "colour"/ ],
    [ [ '- config:', '    type: record', '    required: true', '    fields:',
        '    - a: { type: string, match: "[a" }' ],
      qr/x\.yml:9: fields\.config\.fields\.a\.match: is no Lua pattern/ ],
    [ [ '- config:', '    type: record', '    required: true', '    fields:',
        '    - a: { type: string }', '    - a: { type: string }' ],
      qr/x\.yml:10: fields\.config\.fields\.a: is there twice/ ],
    [ [ '- config:', '    type: record', '    required: true', '    fields:',
        '    - a: { type: array }' ],
      qr/x\.yml:9: fields\.config\.fields\.a: needs "elements"/ ],
    [ [ '- config: { type: record, required: true, fields: [ ] }',
        'entity_checks:', '- only_one_of: [ config.nothing ]' ],
      qr/x\.yml:7: entity_checks\.only_one_of: "config\.nothing" is no fie/ ],
    [ [ '- config: { type: record, required: true, fields: [ ] }',
        'entity_checks:', '- custom_entity_check: { }' ],
      qr/x\.yml:7: entity_checks: a document cannot have the check/ ],
    [ 'a' x (1024 * 1024 + 1), qr/x\.yml: is larger than 1 MB/ ],
);

mkdir("$dir/faults");
my $kong_conf = spit("$dir/kong.conf", "plugin_schemas = $dir/faults\n"
                                       . "prefix = $dir/p\n");

sub check_conf
{
    return run({ env => { map { $_ => undef } grep { /^KONG_/ } keys %ENV } },
               build() . '/kong', 'check', $kong_conf);
}

for my $case (@faults) {
    my ($text, $like) = @$case;

    $text = join("\n", 'name: x', "version: '1'", 'priority: 1', 'fields:',
                 @$text, '') if ref $text;
    spit("$dir/faults/x.yml", $text);

    ($rc, $out, $err) = check_conf();
    isnt($rc, 0, 'a fault');
    like($err, $like, substr($text =~ tr/\n/ /r, 0, 70));
}

spit("$dir/faults/x.yml", $schema);
spit("$dir/faults/y.yml", $schema);
($rc, $out, $err) = check_conf();
like($err, qr{y\.yml:2: name: "x-tenant" is described by .*/x\.yml, too},
     'described twice');
unlink("$dir/faults/y.yml");
($rc, $out, $err) = check_conf();
is($rc, 0, 'without a fault') or diag($out . $err);

finish();
