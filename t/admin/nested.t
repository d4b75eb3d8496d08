# Paths through another entity: what is not there, or belongs to another, is
# the same 404 with a file as with a database.

use strict;
use warnings;

use KongNode;
use KongPg;
use KongTest;
use Test::More;

my $config = {
    _format_version => '3.0',
    services => [ { name => 's', host => 'h',
                    routes => [ { name => 'r', paths => [ '/r' ] } ] },
                  { name => 'other', host => 'h' } ],
    consumers => [ { username => 'c', acls => [ { group => 'g' } ] },
                   { username => 'd' } ],
    upstreams => [ { name => 'u.test', targets => [ { target => 't:1' } ] },
                   { name => 'v.test' } ],
};

my $id = '00000000-0000-4000-8000-000000000001';
my @missing = (
    '/services/s/routes/none', "/services/s/routes/$id",
    '/services/other/routes/r', '/services/none/routes/r',
    '/consumers/c/acls/none', '/consumers/d/acls/g',
    '/upstreams/u.test/targets/none:1', '/upstreams/v.test/targets/t:1',
    "/upstreams/u.test/targets/$id",
);

sub same
{
    my ($mode, $node) = @_;

    for my $path (@missing) {
        for my $method (qw(GET PATCH DELETE)) {
            my $r = $node->admin($path, method => $method,
                headers => { 'Content-Type' => 'application/json' },
                $method eq 'PATCH' ? (body => '{}') : ());

            is($r->status, 404, "$mode: $method $path") or diag($r->body);
        }
    }

    is($node->admin('/services/none', method => 'DELETE')->status, 204,
       "$mode: what stands alone may be gone already");
    is($node->admin('/services/s/routes/r')->status, 200, "$mode: a child");
}

same('file', node_start(config => $config));

SKIP: {
    my $pg = eval { pg_new() };
    skip('no PostgreSQL server here') if !$pg;

    my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
        build() . '/kong', 'migrations', 'bootstrap', '-q');
    is($rc, 0, 'bootstrapped') or diag($out . $err);

    my $node = node_start(env => { $pg->env });

    ($rc, $out, $err) = run({ env => $node->{env}, timeout => 60 },
        build() . '/kong', 'config', 'db_import', spit(
            temp_dir('nested') . '/kong.json', json_encode($config)));
    is($rc, 0, 'imported') or diag($out . $err);

    same('database', $node);

    my $r = $node->admin('/services/s/routes/r', method => 'DELETE');
    is($r->status, 204, 'a child goes');
}

finish();
