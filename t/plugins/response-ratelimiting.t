# response-ratelimiting: what an answer says it has used up is counted.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $upstream = echo_start();

sub limited
{
    my ($name, $config, @more) = @_;

    return { name => $name, paths => ["/$name"], plugins => [
        { name => 'response-ratelimiting', config => {
            limits => { sms => { day => 5, year => 9 }, mms => { day => 1 } },
            %$config } }, @more ] };
}

my $node = node_start(workers => 2, config => {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [
            limited('plain', {}),
            limited('block', { block_on_first_violation => $true }),
            limited('hide', { hide_client_headers => $true,
                              header_name => 'X-Cost' }),
            limited('who', { limit_by => 'credential' },
                    { name => 'key-auth' }),
            limited('consumer', {}, { name => 'key-auth' }),
            limited('ip', { limit_by => 'ip' }, { name => 'key-auth' }),
            limited('odd', { limits => { a => { day => 1000 } } }),
        ]
    } ],
    consumers => [ { username => 'a', keyauth_credentials => [
        { key => 'a1' }, { key => 'a2' } ] } ],
});

# what was used up, then: status, sms left to the client and to the upstream
sub use_up
{
    my ($path, $used, %headers) = @_;
    my $name = $path eq '/hide' ? 'X-Cost' : 'X-Kong-Limit';
    my $a = $node->get($path, headers => {
        %headers,
        defined $used ? ('X-Echo-Headers' => "$name: $used") : () });

    return join(' ', $a->status, map { defined $_ ? $_ : '-' }
                $a->header('x-ratelimit-remaining-sms-day'),
                $a->up('x-ratelimit-remaining-sms'));
}

is(use_up('/plain'), '200 5 5', 'nothing is used up');
is(use_up('/plain', 'sms=2, mms=1'), '200 3 5', 'two of five');
is(use_up('/plain', 'sms = 1'), '200 2 3', 'spaces; the upstream sees three');
is(use_up('/plain', 'nix=4,sms=x,sms=1=2,sms'), '200 2 2', 'no numbers');
is(use_up('/plain', 'sms=-4'), '200 2 2', 'nothing comes back');

my $a = $node->get('/plain', headers => { 'X-Echo-Headers' =>
                                          'X-Kong-Limit: mms=1' });
is($a->status, 429, 'what is used up cannot be used');
is($a->body, '', 'without a body');
is($a->header('content-length'), 0, 'of no length');
is($a->header('x-kong-limit'), undef, 'the header is ours alone');
is($a->header('x-ratelimit-limit-mms-day'), 1, 'the limit');
is($a->header('x-ratelimit-remaining-mms-day'), 0, 'none is left');
is($a->header('x-ratelimit-remaining-sms-year'), 6, 'another period');

is(use_up('/plain', 'sms=9'), '200 0 2', 'more than is left, once');
is(use_up('/plain', 'sms=1'), '429 0', 'then no more');
is(use_up('/plain', 'sms=1', Accept => 'text/html'), '429 0', 'no page');
like(use_up('/plain'), qr/^200 0 -?\d/, 'what uses nothing passes');

# --- settings

is(use_up('/block', 'mms=1'), '200 5 5', 'block_on_first_violation');
$a = $node->get('/block');
is($a->status, 429, 'refused before');
is($a->json->{message}, "API rate limit exceeded for 'mms'", 'by name');

$a = $node->get('/hide', headers => { 'X-Echo-Headers' => 'X-Cost: sms=1' });
is($a->header('x-cost'), undef, 'header_name');
is($a->header('x-ratelimit-limit-sms-day'), undef, 'hide_client_headers');
is(use_up('/hide'), '200 - 4', 'counted all the same');

is(use_up('/who', 'sms=5', apikey => 'a1'), '200 0 5', 'by credential');
is(use_up('/who', 'sms=1', apikey => 'a2'), '200 4 5', 'each its own');
is(use_up('/consumer', 'sms=5', apikey => 'a1'), '200 0 5', 'by consumer');
is(use_up('/consumer', 'sms=1', apikey => 'a2'), '429 0', 'both keys');
is(use_up('/ip', 'sms=1', apikey => 'a1'), '200 4 5', 'by address');

# HEAD, errors of the upstream and our own
is($node->get('/odd', method => 'HEAD', headers => {
    'X-Echo-Headers' => 'X-Kong-Limit: a=1.5' })->status, 200, 'HEAD');
is($node->get('/odd', headers => { 'X-Echo-Status' => 500,
    'X-Echo-Headers' => 'X-Kong-Limit: a=1' })
   ->header('x-ratelimit-remaining-a-day'), '997.5', 'fractions, a 500');
$a = $node->get('/odd', headers => { 'X-Echo-Close' => 'early' });
is($a->status, 502, 'no answer');
is($a->header('x-ratelimit-remaining-a-day'), '997.5', 'uses nothing');

finish();
