# ip-restriction: who may pass, by address.

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
    mapped => { deny => ['::ffff:10.0.0.0/104', '::ffff:192.168.1.1'] },
    loose => { allow => ['10.1.2.3/8'] },
    tea => { deny => ['0.0.0.0/0'], status => 418, message => 'no "tea"' },
    odd => { deny => ['0.0.0.0/0'], status => 1000 },
    none => { allow => [] , deny => ['10.9.9.9'] },
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
            map { route('ip-restriction', $_, $ips{$_}) } sort keys %ips
        ]
    } ],
});

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
    [ '/mapped', '10.0.0.1', 403 ], [ '/mapped', '::ffff:10.255.0.1', 403 ],
    [ '/mapped', '11.0.0.1', 200 ], [ '/mapped', '192.168.1.1', 403 ],
    [ '/mapped', '192.168.1.2', 200 ], [ '/mapped', '::1', 200 ],
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

finish();
