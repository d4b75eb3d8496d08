# The gateway files of a Supabase installation, end to end: the API key of a
# client becomes the Authorization header that the file's Lua says.  Their
# post-function, which runs Lua of its own, is taken out: it is refused.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $shared = shared_dir();

plan_skip('the files are not here')
    if !defined $shared || !-f "$shared/realworld/supabase-opaque.yml";

my $upstream = echo_start();
my ($file, $whole) = configuration('opaque');
my $node = node_start(workers => 1, config => $file);

is($node->post_config($whole)->status, 400,
   'with the post-function the file is refused');

sub configuration
{
    my ($name) = @_;
    my $text = slurp("$shared/realworld/supabase-$name.yml");

    $text =~ s{url: http://[^/\s]+}{url: http://127.0.0.1:$upstream}g;
    my $cut = $text;
    $cut =~ s/^ {6}- name: post-function\n(?:(?: {8}.*)?\n)+/\n/m;

    return ($cut, $text);
}

sub authorization
{
    my ($path, %headers) = @_;

    return $node->get($path, headers => \%headers)->up('authorization');
}

for my $path ('/rest/v1/x', '/auth/v1/user', '/graphql/v1',
              '/realtime/v1/api/x')
{
    is(authorization($path, apikey => 'sb_secret_demo'),
       'Bearer demo.service.jwt', "$path: the secret key");
    is(authorization($path, apikey => 'sb_publishable_demo'),
       'Bearer demo.anon.jwt', 'the publishable key');
    is(authorization($path, apikey => 'demo-anon-key'), 'demo-anon-key',
       'a legacy key');
    is(authorization($path, apikey => 'sb_secret_demo',
                     Authorization => 'Bearer sb_secret_demo'),
       'Bearer demo.service.jwt', 'a key as a token');
    is(authorization($path, apikey => 'sb_secret_demo',
                     Authorization => 'Bearer user.jwt'),
       'Bearer user.jwt', 'the token of a user stays');
    is($node->get($path)->status, 401, 'no key');
    is($node->get($path, headers => { apikey => 'nope' })->status, 401,
       'a wrong key');
}

is($node->get('/graphql/v1', headers => { apikey => 'sb_secret_demo' })
   ->up('content-profile'), 'graphql_public', 'a constant header');

my $a = $node->get('/realtime/v1/websocket?apikey=sb_publishable_demo&vsn=1');
is($a->up('x-api-key'), 'demo.anon.jwt', 'from the query to a header');
is($a->up_uri, '/socket/websocket?apikey=demo.anon.jwt&vsn=1',
   'and to the query');

$a = $node->get('/storage/v1/x');
is($a->status, 200, 'storage needs no key');
is($a->up('authorization'), '', 'nothing renders as an empty header');
is(authorization('/storage/v1/x', Authorization => 'AWS4-HMAC-SHA256 x'),
   'AWS4-HMAC-SHA256 x', 'a signature stays');

is($node->get('/pg/x', headers => { apikey => 'sb_publishable_demo' })
   ->status, 403, 'a group that may not');
is($node->get('/pg/x', headers => { apikey => 'sb_secret_demo' })->status,
   200, 'one that may');

$a = $node->get('/rest/v1/x', method => 'OPTIONS', headers => {
    Origin => 'http://app.test', 'Access-Control-Request-Method' => 'POST',
    'Access-Control-Request-Headers' => 'apikey' });
is($a->status, 200, 'a preflight needs no key');
is($a->header('access-control-allow-origin'), '*', 'any origin');
is($a->header('access-control-allow-headers'), 'apikey', 'asked headers');

$a = $node->get('/rest/v1/x', headers => { Origin => 'http://app.test',
                                           apikey => 'sb_secret_demo' });
is($a->header('access-control-allow-origin'), '*', 'an answer, too');
is($a->up('x-consumer-username'), 'service_role', 'the consumer');
is($a->up('x-consumer-groups'), undef, 'its groups are hidden');
is($node->get('/rest/v1/x', headers => { Origin => 'http://app.test' })
   ->header('access-control-allow-origin'), '*', 'a refusal as well');
is($node->get('/auth/v1/verify?token=x')->up_uri, '/verify?token=x',
   'an open route needs no key');

is($node->get('/')->status, 401, 'the dashboard asks for a password');
$a = $node->get('/', headers => {
    Authorization => 'Basic ZGVtbzpkZW1vLXBhc3N3b3Jk' });
is($a->status, 200, 'and takes it');
is($a->up('authorization'), undef, 'for itself');
is($node->get('/mcp')->status, 403, 'a closed route');

is($node->post_config((configuration('legacy'))[0])->status, 201,
   'the older file');
is(authorization('/rest/v1/x', apikey => 'demo-anon-key'), 'demo-anon-key',
   'its key');
is($node->get('/pg/x', headers => { apikey => 'demo-anon-key' })->status,
   403, 'its groups');
is($node->get('/pg/x', headers => { apikey => 'demo-service-key' })->status,
   200, 'of both keys');

finish();
