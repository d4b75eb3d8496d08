# bot-detection: who may pass, by User-Agent.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();

my %bots = (
    bots => {},
    lists => { allow => ['Googlebot/2', '^curl/8'],
               deny => ['^curl', '^$', "\xe9"] },
    slow => { deny => ['^(a+)+$'] },
    unicode => { allow => ["\x{20ac}bot"], deny => ["^caf\x{e9}"] },
    anyone => { allow => ['.*'] },
    nobody => { deny => ['.*'] },
);

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream/",
        routes => [
            map { { name => $_, paths => ["/$_"], plugins => [
                { name => 'bot-detection', config => $bots{$_} } ] } }
            sort keys %bots
        ]
    } ],
});

sub agent
{
    my ($path, $agent) = @_;

    return $node->get($path, headers => [ [ 'User-Agent', $agent ] ])->status;
}

my %robot = (
    'Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0'
        => 200,
    'Mozilla/5.0 (Linux; Android 9; CUBOT X19) Chrome/90.0 Mobile' => 200,
    'curl/8.0' => 200, 'Wget/1.21' => 200, 'python-requests/2.31' => 200,
    '' => 200, 'Robotics/1.0' => 200, "\xff\xfe" => 200,
    'Mozilla/5.0 (compatible; Googlebot/2.1; +http://google.com/bot.html)'
        => 403,
    'Mozilla/5.0 (compatible; bingbot/2.0)' => 403,
    'Mozilla/5.0 (compatible; Baiduspider/2.0)' => 403,
    'facebookexternalhit/1.1' => 403, 'Twitterbot/1.0' => 403,
    'Pingdom.com_bot_version_1.4' => 403, 'aws-sdk-java/1.12' => 403,
    'Apache-HttpClient/4.5.13 (Java/11)' => 403, 'Go-http-client/1.1' => 403,
    'okhttp/4.9' => 403, 'axios/1.6' => 403, 'Python-urllib/3.9' => 403,
    'Mozilla/5.0 (compatible; Yahoo! Slurp)' => 403,
    'my-crawler/0.1' => 403, 'ia_archiver' => 403,
);

is(agent('/bots', $_), $robot{$_}, "agent '$_'") for sort keys %robot;

is($node->get('/bots')->status, 200, 'no User-Agent');
my $a = $node->get('/bots', headers => [ [ 'User-Agent', 'a' ],
                                         [ 'user-agent', 'b' ] ]);
is($a->status, 400, 'two of them');
is($a->json->{message}, 'Only one User-Agent header allowed', 'by name');
is($node->get('/bots', headers => { 'User-Agent' => 'okhttp/4' })->json
   ->{message}, 'Forbidden', 'the answer');
is($node->get('/bots', method => 'HEAD',
              headers => { 'User-Agent' => 'okhttp/4' })->status, 403,
   'HEAD');

is(agent('/lists', 'Googlebot/2.1'), 200, 'allow is first');
is(agent('/lists', 'curl/8.1'), 200, 'before deny');
is(agent('/lists', 'curl/7.1'), 403, 'deny');
is(agent('/lists', "x \xc3\xa9"), 403, 'not only ASCII');
is(agent('/lists', 'bingbot/2.0'), 403, 'then the known ones');
is(agent('/slow', 'a' x 5000), 403, 'a slow regex that matches');
is(agent('/slow', ('a' x 5000) . '!') =~ /^(200|403)$/, 1,
   'one that cannot finish does not hang');

is(agent('/anyone', 'bingbot/2.0'), 200, 'all are allowed');
is(agent('/nobody', 'Mozilla/5.0'), 403, 'none is');
is($node->get('/nobody')->status, 200, 'who says nothing is not asked');
is(agent('/unicode', "caf\xc3\xa9/1"), 403, 'Unicode is denied');
is(agent('/unicode', "\xe2\x82\xacbot"), 200, 'and allowed');
is(agent('/bots', "Mozilla/5.0 \xe2\x82\xac"), 200, 'and nothing special');
is(agent('/bots', 'a' x 6000), 200, 'a long one');
is(agent('/bots', 'x' x 3000 . ' Googlebot/2.1 ' . 'y' x 3000), 403,
   'one with a robot inside');
is(agent('/bots', "bing\tbot/1"), 403, 'a tab');

# methods, error bodies, other plugins' guests do not matter

my %bot = (headers => { 'User-Agent' => 'okhttp/4' });

is($node->get('/bots', method => 'OPTIONS', %bot)->status, 403, 'OPTIONS');
$a = $node->get('/bots', method => 'HEAD', %bot);
is($a->status . $a->body, '403', 'HEAD has no body');
like($node->get('/bots', headers => { Accept => 'text/plain',
                                      'User-Agent' => 'okhttp/4' })->body,
     qr/^Forbidden\nrequest_id: /, 'as plain text');
is($node->get('/bots', method => 'POST', body => 'x' x 100_000, %bot)
   ->status, 403, 'a body that nobody reads');

# what cannot be compiled is no configuration

$a = $node->post_config({ _format_version => '3.0', plugins => [
    { name => 'bot-detection', config => { deny => ['('] } } ] });
is($a->status, 400, 'no regex');
like($a->body, qr/not a valid regex/, 'which is said');

finish();
