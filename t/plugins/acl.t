# acl: groups allowed and denied, its header, and what goes with
# authentication before it.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $true = JSON::PP::true();

sub guarded
{
    my ($name, $config, $auth) = @_;

    return { name => $name, paths => ["/$name"], plugins => [
        { name => 'key-auth', config => $auth || {} },
        { name => 'acl', config => $config } ] };
}

my $node = node_start(config => {
    _format_version => '3.0',
    services => [ { name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [
            guarded('allow', { allow => [ 'admin', "gr\x{fc}n", 'o\'x, y' ] }),
            guarded('deny', { deny => ['admin'] }),
            guarded('hide', { allow => ['admin'],
                              hide_groups_header => $true }),
            guarded('always', { allow => ['admin'],
                                always_use_authenticated_groups => $true }),
            guarded('anon', { allow => [ 'admin', 'public' ] },
                    { anonymous => 'guest' }),
            guarded('many', { allow => [ map { "g$_" } 1 .. 300 ] }),
            { name => 'alone', paths => ['/alone'], plugins => [
                { name => 'acl', config => { allow => ['admin'] } } ] },
            { name => 'alone-deny', paths => ['/alone-deny'], plugins => [
                { name => 'acl', config => { deny => ['admin'] } } ] },
        ] } ],
    consumers => [
        { username => 'alice', keyauth_credentials => [ { key => 'alice' } ],
          acls => [ { group => 'admin' }, { group => 'dev' } ] },
        { username => 'bob', keyauth_credentials => [ { key => 'bob' } ],
          acls => [ { group => 'dev' }, { group => 'admins' } ] },
        { username => 'carl', keyauth_credentials => [ { key => 'carl' } ],
          acls => [ { group => "gr\x{fc}n" }, { group => 'ADMIN' } ] },
        { username => 'eve', keyauth_credentials => [ { key => 'eve' } ] },
        { username => 'max', keyauth_credentials => [ { key => 'max' } ],
          acls => [ map { { group => "g$_" } } 300 .. 600 ] },
        { username => 'guest', acls => [ { group => 'public' } ] },
    ]
});

sub try
{
    my ($path, $key, %o) = @_;

    return $node->get($path, %o, headers => [
        (defined $key ? [ apikey => $key ] : ()), @{ $o{headers} || [] } ]);
}

# path, key, status, groups header
my @cases = (
    [ '/allow', 'alice', 200, 'admin, dev' ],
    [ '/allow', 'bob', 403 ],
    [ '/allow', 'carl', 200, "gr\xc3\xbcn, ADMIN" ],
    [ '/allow', 'eve', 403 ],
    [ '/deny', 'alice', 403 ],
    [ '/deny', 'bob', 200, 'dev, admins' ],
    [ '/deny', 'carl', 200, "gr\xc3\xbcn, ADMIN" ],
    [ '/deny', 'eve', 200, '' ],
    [ '/hide', 'alice', 200, undef ],
    [ '/hide', 'bob', 403 ],
    [ '/always', 'alice', 200, 'admin, dev' ],
    [ '/always', 'bob', 403 ],
    [ '/anon', undef, 200, 'public' ],
    [ '/anon', 'wrong', 200, 'public' ],
    [ '/anon', 'alice', 200, 'admin, dev' ],
    [ '/anon', 'bob', 403 ],
    [ '/many', 'max', 200, join(', ', map { "g$_" } 300 .. 600) ],
    [ '/many', 'alice', 403 ],
    [ '/alone', undef, 401 ],
    [ '/alone', 'alice', 401 ],
    [ '/alone-deny', undef, 401 ],
);

for my $case (@cases) {
    my ($path, $key, $status, $groups) = @$case;
    my $name = "$path " . (defined $key ? $key : 'nobody');
    my $a = try($path, $key);

    is($a->status, $status, $name);

    if ($status == 200) {
        my $is = $a->up('x-consumer-groups');
        utf8::encode($is) if defined $is;
        is($is, $groups, "$name: header");

    } elsif ($status == 403) {
        is($a->json->{message}, 'You cannot consume this service',
           "$name: message");

    } else {
        is($a->json->{message}, 'Unauthorized', "$name: message");
    }
}

my @spoofed = ([ 'X-Consumer-Groups', 'root' ],
               [ 'x-consumer-groups', 'admin' ],
               [ 'X-Authenticated-Groups', 'admin' ]);

my $a = try('/deny', 'bob', headers => \@spoofed);
is($a->up('x-consumer-groups'), 'dev, admins', 'spoofed groups are replaced');
is($a->up('x-authenticated-groups'), undef, 'and removed');
$a = try('/hide', 'alice', headers => \@spoofed);
is($a->up('x-consumer-groups'), undef, 'also where the header is hidden');
is(try('/allow', 'eve', headers => \@spoofed)->status, 403,
   'they let nobody in');
is(try('/alone', undef, headers => \@spoofed)->status, 401, 'nowhere');

is(try('/allow', 'eve', method => 'HEAD')->status, 403, 'HEAD');
is(try('/allow', 'alice', method => 'OPTIONS')->status, 200, 'OPTIONS');
like(try('/allow', 'eve', headers => [ [ Accept => 'text/plain' ] ])->body,
     qr/^You cannot consume this service\nrequest_id: /, 'plain text');

finish();
