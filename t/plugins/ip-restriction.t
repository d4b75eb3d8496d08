# ip-restriction and bot-detection: who may pass.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();

my %ips = (
    allow => { allow => ['10.0.0.0/8', '192.168.1.1'] },
    deny => { deny => ['10.0.0.0/8', '::1', 'fd00::/8'] },
    both => { allow => ['10.0.0.0/8'], deny => ['10.1.0.0/16'] },
    six => { allow => ['fd00::/8', '::1'] },
    loose => { allow => ['10.1.2.3/8'] },
    tea => { deny => ['0.0.0.0/0'], status => 418, message => 'no "tea"' },
    odd => { deny => ['0.0.0.0/0'], status => 1000 },
    none => { allow => [] , deny => ['10.9.9.9'] },
);

my %bots = (
    bots => {},
    lists => { allow => ['Googlebot/2', '^curl/8'],
               deny => ['^curl', '^$', "\xe9"] },
    slow => { deny => ['^(a+)+$'] },
);

sub route
{
    my ($plugin, $name, $config) = @_;

    return { name => $name, paths => ["/$name"], plugins => [
        { name => $plugin, config => $config } ] };
}

my $node = node_start(workers => 1, env => {
    KONG_TRUSTED_IPS => '127.0.0.1',
    KONG_REAL_IP_HEADER => 'X-Forwarded-For',
}, config => {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream/",
        routes => [
            (map { route('ip-restriction', $_, $ips{$_}) } sort keys %ips),
            (map { route('bot-detection', $_, $bots{$_}) } sort keys %bots),
        ]
    } ],
});

# --- ip-restriction

sub from
{
    my ($path, $ip) = @_;

    return $node->get($path, headers => { 'X-Forwarded-For' => $ip });
}

my @cases = (
    [ '/allow', '10.255.1.1', 200 ], [ '/allow', '11.0.0.1', 403 ],
    [ '/allow', '192.168.1.1', 200 ], [ '/allow', '192.168.1.2', 403 ],
    [ '/allow', '::1', 403 ], [ '/allow', '::ffff:10.0.0.1', 200 ],
    [ '/deny', '10.0.0.1', 403 ], [ '/deny', '9.255.255.255', 200 ],
    [ '/deny', '::1', 403 ], [ '/deny', 'fd12::1', 403 ],
    [ '/deny', '::ffff:10.0.0.1', 403 ], [ '/deny', 'fe80::1', 200 ],
    [ '/both', '10.0.0.1', 200 ], [ '/both', '10.1.0.1', 403 ],
    [ '/both', '8.8.8.8', 403 ],
    [ '/six', 'fd00::5', 200 ], [ '/six', '10.0.0.1', 403 ],
    [ '/loose', '10.200.0.1', 200 ],
    [ '/tea', '1.2.3.4', 418 ], [ '/tea', 'fd00::1', 200 ],
    [ '/odd', '1.2.3.4', 403 ], [ '/none', '1.2.3.4', 200 ],
    [ '/none', '10.9.9.9', 403 ],
);

for my $case (@cases) {
    my ($path, $ip, $status) = @$case;

    is(from($path, $ip)->status, $status, "$path $ip");
}

is(from('/allow', '8.8.8.8')->json->{message},
   'IP address not allowed: 8.8.8.8', 'the answer names the address');
is(from('/tea', '1.2.3.4')->json->{message}, 'no "tea"',
   'or says what it should');
is($node->get('/allow')->json->{message},
   'IP address not allowed: 127.0.0.1', 'the peer\'s own');
is($node->get('/allow', method => 'OPTIONS')->status, 403, 'OPTIONS');
is($node->get('/allow', headers => { Accept => 'text/html' })
   ->header('content-type'), 'text/html; charset=utf-8', 'as accepted');

# --- bot-detection

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

finish();
