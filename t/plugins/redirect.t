# redirect: every field of its configuration, and what may stand in a
# Location.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $true = JSON::PP::true();

my %routes = (
    plain => { location => 'https://example.com/to?a=1#top' },
    code302 => { location => 'http://a.test', status_code => 302 },
    code308 => { location => 'http://a.test/x', status_code => 308 },
    code100 => { location => 'http://a.test/x', status_code => 599 },
    keep => { location => 'https://example.com/to?a=1#top',
              keep_incoming_path => $true },
    bare => { location => 'https://example.com:8443',
              keep_incoming_path => $true },
    user => { location => 'http://u:p@[::1]:80/x?y#z',
              keep_incoming_path => $true },
    unicode => { location => "http://b\x{fc}cher.test/\x{20ac}",
                 keep_incoming_path => $true },
);

my $node = node_start(config => {
    _format_version => '3.0',
    services => [ { name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [
            (map { { name => $_, paths => ["/$_"], plugins => [
                { name => 'redirect', config => $routes{$_} } ] } }
             sort keys %routes),
            { name => 'auth', paths => ['/auth'], plugins => [
                { name => 'redirect', config => $routes{keep} },
                { name => 'key-auth' } ] },
            { name => 'guest', paths => ['/guest'], plugins => [
                { name => 'redirect', config => $routes{plain} },
                { name => 'key-auth', config => { anonymous => 'g' } } ] },
            { name => 'headers', paths => ['/headers'], plugins => [
                { name => 'redirect', config => $routes{keep} },
                { name => 'request-transformer', config => {
                    add => { querystring => ['new:1'] } } },
                { name => 'correlation-id', config => {
                    header_name => 'X-C', echo_downstream => $true } } ] },
        ] } ],
    consumers => [ { username => 'g' },
                   { username => 'c',
                     keyauth_credentials => [ { key => 'k' } ] } ]
});

sub to
{
    return $node->get(@_)->header('location');
}

my $a = $node->get('/plain/x?y=1');

is($a->status, 301, 'moved');
is($a->header('location'), 'https://example.com/to?a=1#top', 'location');
is($a->body, 'redirecting', 'body');
is($a->header('content-type'), 'text/plain; charset=UTF-8', 'its type');
is(scalar(grep { lc($_->[0]) eq 'location' } @{ $a->headers }), 1, 'once');

is($node->get('/code302')->status, 302, 'found');
is(to('/code302'), 'http://a.test', 'as it is written');
is($node->get('/code308')->status, 308, 'permanent');
is($node->get('/code100')->status, 599, 'any code from 100 to 599');

# --- keep_incoming_path

is(to('/keep/a/b?x=1&y'), 'https://example.com/keep/a/b?x=1&y#top',
   'path and query are those of the request');
is(to('/keep'), 'https://example.com/keep#top', 'no query');
is(to('/keep/?'), 'https://example.com/keep/#top', 'an empty one');
is(to('/bare/x?y'), 'https://example.com:8443/bare/x?y', 'no path to replace');
is(to('/user/x'), 'http://u:p@[::1]:80/user/x#z', 'user, address and port');
is(to('/unicode/x'), "http://b\xc3\xbccher.test/unicode/x", 'Unicode');
is(to('/keep/%E2%82%AC/a%20b'), 'https://example.com/keep/%E2%82%AC/a%20b#top',
   'escapes stay');
is(to('/keep/' . 'a' x 3000 . '?' . 'b' x 3000),
   'https://example.com/keep/' . 'a' x 3000 . '?' . 'b' x 3000 . '#top',
   'a long one');

# nothing gets out of the header's line, and to no other host

for my $path ('/keep/%0d%0aX-Evil:1', '/keep/%0D%0A%0D%0A<html>',
              '/keep/x?a=%0d%0aX-Evil:1', '/keep//evil.test/',
              '/keep/%01', '/keep/%5C%5Cevil.test', '/keep/@evil.test',
              '/keep/%2F%2Fevil.test')
{
    $a = $node->get($path);
    is($a->status, 301, $path);
    is($a->header('x-evil'), undef, "$path: no header of its own");
    like($a->header('location'), qr{^https://example\.com/keep/[!-~]*$},
         "$path: the same host");
}

# --- other plugins, methods

is($node->get('/auth/x')->status, 401, 'those before it come first');
is(to('/auth/x?apikey=k'), 'https://example.com/auth/x?apikey=k#top',
   'then it');
is($node->get('/guest')->status, 301, 'guests go, too');
$a = $node->get('/headers/x?old=2');
like($a->header('location'), qr{^https://example\.com/headers/x\?},
     'the query as it stands then');
ok($a->header('x-c'), 'header filters of others run');

$a = $node->get('/plain', method => 'HEAD');
is($a->status, 301, 'HEAD');
is($a->body, '', 'without a body');
is($a->header('location'), 'https://example.com/to?a=1#top', 'with it');
is($node->get('/plain', method => 'OPTIONS')->status, 301, 'OPTIONS');
is($node->get('/plain', method => 'POST', body => 'x' x 100_000)->status, 301,
   'POST');
is($node->get('/plain', headers => [ [ Accept => 'text/html' ],
                                     [ Accept => 'x/y' ] ])->body,
   'redirecting', 'whatever is accepted');
is($node->get('/plain', headers => { Location => 'http://evil.test' })
   ->header('location'), 'https://example.com/to?a=1#top',
   'a Location of the request is nothing');

# --- configurations that are refused

for my $case ([ { }, 'required field missing' ],
              [ { location => '' }, 'missing host in url|length must be' ],
              [ { location => 'not a url' }, 'missing host in url' ],
              [ { location => 'http://a.test', status_code => 99 },
                'between 100 and 599' ])
{
    my ($config, $like) = @$case;

    $a = $node->post_config({ _format_version => '3.0', plugins => [
        { name => 'redirect', config => $config } ] });
    is($a->status, 400, 'refused: ' . json_encode($config));
    like($a->body, qr/$like/, 'and why');
}

finish();
