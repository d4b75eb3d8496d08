# rate-limiting, policy local: numbers and headers, who is counted, counters
# that are exact across workers and that outlive a reload and a publish.

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

    return { name => $name, paths => ["/$name"], strip_path => $false,
             plugins => [ { name => 'rate-limiting', config => $config },
                          @more ] };
}

sub config
{
    return {
        _format_version => '3.0',
        services => [ {
            name => 'echo', url => "http://127.0.0.1:$upstream",
            routes => [
                limited('day', { day => 3, sync_rate => -1 }),
                limited('two', { hour => 2, day => 5 }),
                limited('tie', { day => 2, month => 2, year => 9 }),
                limited('part', { day => 1.5 }),
                limited('hide', { day => 1, hide_client_headers => $true }),
                limited('text', { day => 1, error_code => 420,
                                  error_message => 'slow "down"' }),
                limited('header', { day => 1, limit_by => 'header',
                                    header_name => 'X-Who' }),
                limited('path', { day => 1, limit_by => 'path',
                                  path => '/path/one' }),
                limited('ip', { day => 2, limit_by => 'ip' }),
                limited('service', { day => 2, limit_by => 'service' }),
                limited('consumer', { day => 1 }, { name => 'key-auth' }),
                limited('credential',
                        { day => 1, limit_by => 'credential' },
                        { name => 'key-auth' }),
                limited('exact', { day => 500 }),
                limited('edges', { second => 40 }),
                limited('keep', { day => 4 }),
                limited('many', { day => 2, limit_by => 'header',
                                  header_name => 'x-who' }),
                { name => 'g1', paths => ['/g1'] },
                { name => 'g2', paths => ['/g2'] },
            ]
        } ],
        plugins => [ { name => 'rate-limiting', config => { day => 3 } } ],
        consumers => [
            { username => 'a', keyauth_credentials => [
                { key => 'a1' }, { key => 'a2' } ] },
            { username => 'b', keyauth_credentials => [ { key => 'b1' } ] },
        ],
    };
}

# small, so that it can be filled
my $node = node_start(workers => 4, config => config(),
                      env => { KONG_KONG_ZONE_SIZE => '512k' });

sub codes
{
    my ($n, $path, %headers) = @_;

    return join(' ', map { $node->get($path, headers => \%headers)->status }
                1 .. $n);
}

# --- headers

my $a = $node->get('/day');
is($a->status, 200, 'the first passes');
is($a->header('x-ratelimit-limit-day'), 3, 'the limit');
is($a->header('x-ratelimit-remaining-day'), 2, 'what is left after it');
is($a->header('ratelimit-limit'), 3, 'RateLimit-Limit');
is($a->header('ratelimit-remaining'), 2, 'RateLimit-Remaining');
cmp_ok(abs($a->header('ratelimit-reset') - (86400 - time() % 86400)), '<=',
       2, 'RateLimit-Reset is the end of the day, UTC');
is($a->header('retry-after'), undef, 'no Retry-After yet');
is($a->up('x-ratelimit-limit-day'), undef, 'nothing for the upstream');

is(codes(2, '/day'), '200 200', 'so do two more');
$a = $node->get('/day', headers => { Accept => 'text/plain' });
is($a->status, 429, 'then no more');
like($a->body, qr/^API rate limit exceeded\n/, 'the error body, as accepted');
is($a->header('x-ratelimit-remaining-day'), 0, 'none left');
is($a->header('retry-after'), $a->header('ratelimit-reset'), 'Retry-After');
is($node->get('/day', method => 'HEAD')->status, 429, 'HEAD counts');
is($node->get('/day', method => 'OPTIONS')->status, 429, 'OPTIONS counts');

# the upstream's headers of these names are ours
$a = $node->get('/two', headers => {
    'X-Echo-Headers' => 'X-RateLimit-Limit-Hour: 99|RateLimit-Limit: 98' });
is($a->header('x-ratelimit-limit-hour'), 2, 'not the upstream\'s');
is($a->header('ratelimit-limit'), 2, 'the period with the least left');

$node->get('/two');
$a = $node->get('/two');
is($a->status, 429, 'the shorter limit refuses');
is($a->header('x-ratelimit-remaining-day'), 3, 'a refusal is not counted');
is($a->header('x-ratelimit-remaining-hour'), 0, 'the one that refuses');

$a = $node->get('/tie');
is($a->header('x-ratelimit-remaining-month'), 1, 'month');
is($a->header('x-ratelimit-remaining-year'), 8, 'year');
my @utc = gmtime();
cmp_ok($a->header('ratelimit-reset'), '>=', 1, 'of equals, the longer:');
cmp_ok($a->header('ratelimit-reset'), '>', 86400 * (27 - $utc[3]),
       'the month');

is(codes(3, '/part'), '200 200 429', 'a limit of 1.5 lets two pass');
is($node->get('/part')->header('x-ratelimit-limit-day'), '1.5', 'as it is');

# --- other answers

is(codes(2, '/hide'), '200 429', 'hidden headers count all the same');
$a = $node->get('/hide');
is(join(' ', grep { /ratelimit|retry/i } map { $_->[0] } @{ $a->headers }),
   '', 'nothing is told');

$node->get('/text');
$a = $node->get('/text');
is($a->status, 420, 'error_code');
is($a->json->{message}, 'slow "down"', 'error_message, escaped');
like($node->get('/text', headers => { Accept => 'text/html' })->body,
     qr/slow &quot;down&quot;\./, 'in HTML, too');

# --- who

is(codes(2, '/header', 'X-Who' => 'a'), '200 429', 'by header');
is(codes(2, '/header', 'x-who' => 'b'), '200 429', 'another value');
is(codes(2, '/header'), '200 429', 'without it the address counts');
is(codes(2, '/header', 'X-Who' => '127.0.0.1'), '200 429',
   'which no header can name');
is(codes(1, '/header', 'X-Who' => "\xc3\xa9" x 2000), '200', 'a long one');

is(codes(2, '/path/one'), '200 429', 'by path');
is(codes(2, '/path/./one'), '429 429', 'the normalised one');
is(codes(2, '/path/two'), '200 429', 'elsewhere by address');

is(codes(3, '/ip'), '200 200 429', 'by address');
is(codes(3, '/service'), '200 200 429', 'by service');

is(codes(2, '/consumer', apikey => 'a1'), '200 429', 'by consumer');
is(codes(1, '/consumer', apikey => 'a2'), '429', 'whatever the key');
is(codes(2, '/consumer', apikey => 'b1'), '200 429', 'another one');
is(codes(1, '/consumer', apikey => 'nobody'), '401', 'nobody counts nothing');

is(codes(2, '/credential', apikey => 'a1'), '200 429', 'by credential');
is(codes(2, '/credential', apikey => 'a2'), '200 429', 'each its own');

is(codes(2, '/g1') . ' ' . codes(2, '/g2'), '200 200 200 429',
   'a global instance counts over all routes');

# --- a reload and a publish keep the numbers

is(codes(2, '/keep'), '200 200', 'two of four');
my @old = $node->worker_pids;
is(($node->reload)[0], 0, 'reload');
wait_until(20, sub { !grep { kill(0, $_) } @old });
is(codes(1, '/keep'), '200', 'a third after it');

my $config = config();
push @{ $config->{services}[0]{routes} }, { name => 'n', paths => ['/new'] };
is($node->post_config($config)->status, 201, 'publish');
is(codes(2, '/keep'), '200 429', 'the fourth is the last');

# --- exact: 4 workers, 64 connections

# statuses of `n` requests on each of 64 connections
sub storm
{
    my ($path, $until) = @_;
    my @results;

    for my $p (1 .. 8) {
        my $file = temp_dir() . "/storm$p";
        unlink($file);
        push @results, $file;

        spawn(sub {
            my @c = map { KongHttp->connect($node->{proxy}) } 1 .. 8;
            my %seen;

            while (!$until->(\%seen)) {
                $_->send("GET $path HTTP/1.1\r\nHost: a\r\n"
                         . "X-Echo-Size: 1\r\n\r\n") for @c;
                $seen{ $_->answer->status }++ for @c;
            }

            spit("$file.part", join("\n", map { "$_ $seen{$_}" } keys %seen));
            rename("$file.part", $file);
        });
    }

    wait_until(60, sub { !grep { !-e $_ } @results });

    my %all;

    for my $text (map { slurp($_) } @results) {
        $all{$1} += $2 while $text =~ /(\d+) (\d+)/g;
    }

    return %all;
}

my %seen = storm('/exact', sub { ($_[0]{429} || 0) >= 100 });
is($seen{200}, 500, 'exactly as many as the limit pass');
is(join(' ', sort keys %seen), '200 429', 'nothing else is answered');

# every second of the run lets 40 pass: it begins and ends near an edge
nap(1.02 - (now() - int(now())));
my $start = int(now());
%seen = storm('/edges', sub { now() >= $start + 3.6 });
my $windows = int(now()) - $start + 1;
is($seen{200}, 40 * $windows, "exactly, in each of $windows windows");

# --- a table that is full: nobody is refused who has not used up the limit

my $c;
my $wrong = 0;

for my $i (1 .. 4000) {
    # a connection serves a thousand requests
    $c = KongHttp->connect($node->{proxy}) if $i % 100 == 1;
    $c->send(join('', map { "HEAD /many HTTP/1.1\r\nHost: a\r\n"
                            . "X-Who: $i.$_\r\n\r\n" } 1 .. 4));
    $wrong += $c->answer('HEAD')->status != 200 for 1 .. 4;
    last if $wrong;
}

is($wrong, 0, 'more callers than counters: all of them pass');
is(codes(3, '/many', 'X-Who' => 'last'), '200 200 429',
   'and the latest are counted');

# --- without a database there is none to count in

for my $plugin ([ 'rate-limiting', { day => 1 } ],
                [ 'response-ratelimiting', { limits => { a => { day => 1 } } } ])
{
    my ($name, $more) = @$plugin;

    my $bad = config();
    $bad->{plugins} = [ { name => $name, config => {
        %$more, policy => 'cluster' } } ];

    $a = $node->post_config($bad);
    is($a->status, 400, "$name: policy cluster is refused");
    is($a->json->{fields}{plugins}[0]{config}{policy},
       'expected one of: local, redis', 'in Kong\'s words')
        or diag($a->body);
}

is($node->get('/new')->status, 200, 'the configuration before is in force');

finish();
