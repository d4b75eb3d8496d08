# Which route wins: random configurations from a small vocabulary (so that
# rules overlap), and for each random requests.  What is expected comes from
# the plain matcher of t/lib/KongRoute.pm.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongRoute;
use KongTest;
use Test::More;

my $seed = $ENV{KONG_TEST_SEED} || 20261;
my $configs = $ENV{KONG_TEST_ROUTING_CONFIGS} || 40;
my $requests = 40;

srand($seed);

my $upstream = echo_start();
my $node = node_start();

my @hosts = qw(a.com b.com x.a.com api.a.com a.org *.a.com *.com a.* api.*
               a.com:8080 *.a.com:8080 B.Com);
my @paths = ("/\x{e9}", qw(/ /a /a/ /a/b /a/b/c /ab /v1 /v1/users /v1/users/
               /a%2Fb
               ~/a/\d+ ~/a/\d+$ ~/v\d/users ~/v\d+/users/(?<id>\w+)$ ~/.*
               ~/a(/b)?$ ~/[a-c]/.+/x));
my @methods = qw(GET POST PUT DELETE PATCH OPTIONS);
my %headers = (
    'x-version' => [qw(v1 v2 V3)], 'x-env' => [qw(prod ~*^dev ~*stag)],
    'x-flag' => [qw(on off)]
);
my @snis = qw(a.com b.com x.a.com);

my @request_hosts = qw(a.com b.com x.a.com y.x.a.com api.a.com a.org api.net
                       A.COM b.com:99 a.com:8080 z.a.com:8080 other.net
                       .a.com xa.com);
my @request_paths = ('/', qw(/a /a/ /a/b /a/b/ /a/b/c/d /ab /abc /a/12 /a/12/x
                     /v1 /v1/users /v1/users/7 /v12/users/bob /v1/users/bob/z
                     /b/q/x /c//x //a/b /a/./b /a/x/../b /%61/b /a%2fb /%C3%A9/z
                     /none));
my %request_headers = (
    'X-Version' => [qw(v1 v2 v3 v9)], 'X-Env' => [qw(prod Dev-1 staging q)],
    'X-Flag' => [qw(on OFF)]
);

sub pick { return $_[int(rand(@_))] }

sub some
{
    my ($max, @from) = @_;
    my %got = map { pick(@from) => 1 } 1 .. 1 + int(rand($max));

    return [ sort keys %got ];
}

sub uuid
{
    return join('-', map { join('', map { sprintf('%x', rand(16)) } 1 .. $_) }
                     8, 4, 4, 4, 12);
}

sub random_route
{
    my ($n) = @_;
    my $r = { id => uuid(), name => "r$n" };

    $r->{hosts} = some(3, @hosts) if rand() < 0.5;
    $r->{methods} = some(2, @methods) if rand() < 0.3;
    $r->{snis} = some(2, @snis) if rand() < 0.15;
    $r->{paths} = some(rand() < 0.3 ? 3 : 1, @paths)
        if rand() < 0.8 || keys %$r == 2;

    if (rand() < 0.25) {
        my $names = some(2, sort keys %headers);
        $r->{headers} = { map { $_ => some(2, @{ $headers{$_} }) } @$names };
    }

    # the priority of a route that has both kinds of paths is not asked for
    if ($r->{paths} && !grep { !/^~/ } @{ $r->{paths} }) {
        $r->{regex_priority} = int(rand(4)) if rand() < 0.6;
    }

    $r->{strip_path} = JSON::PP::true() if rand() < 0.5;
    $r->{strip_path} = JSON::PP::false() if !$r->{strip_path};
    $r->{preserve_host} = rand() < 0.5 ? JSON::PP::true() : JSON::PP::false();

    return $r;
}

my ($differ, $open, $misses, $total) = (0, 0, 0, 0);

for my $c (1 .. $configs) {
    my @routes = map { random_route($_) } 1 .. 2 + int(rand(14));
    my $a = $node->post_config({
        _format_version => '3.0',
        services => [ map { {
            name => "s-$_->{name}", host => '127.0.0.1', port => $upstream + 0,
            path => "/$_->{name}" . pick('', '/', '/s'), routes => [ $_ ]
        } } @routes ]
    });

    if ($a->status != 201) {
        fail("configuration $c: " . $a->body);
        next;
    }

    # the plain matcher works on bytes
    my %base;
    for my $service (values %{ $a->json->{services} }) {
        $base{$service->{name}} = $service->{path};
    }

    for my $route (@routes) {
        $route->{base} = $base{"s-$route->{name}"};
        utf8::encode($_) for @{ $route->{paths} || [] };
    }

    for my $n (1 .. $requests) {
        my %h = map { rand() < 0.3 ? ($_ => pick(@{ $request_headers{$_} }))
                                   : () } sort keys %request_headers;
        my ($host, $path, $method)
            = (pick(@request_hosts), pick(@request_paths), pick(@methods));
        my ($name, $port) = $host =~ /^(.*?)(?::(\d+))?$/;
        my $normal = path_normalize($path);

        my $want = route_find(\@routes, {
            method => $method, path => $normal, host => $name,
            port => $port || $node->{proxy}, https => 0,
            headers => { map { lc $_ => [ $h{$_} ] } keys %h }
        });

        my $query = pick('', '', '?q=1', '?');
        my $got = $node->get("$path$query", method => $method, host => $host,
                             headers => \%h);

        $total++;
        if ($want && $want->{tie}) {
            $open++;
            next;
        }

        my ($expected, $seen);
        if ($want) {
            my $r = $want->{route};
            my $up = route_upstream($r->{base}, $normal, $r->{strip_path},
                                    $want->{matched});

            # what may not stand in a request is encoded again
            $up =~ s/([^A-Za-z0-9!#\$&'()*+,\/:;=?\@\[\]\-_.~%])/
                     sprintf('%%%02X', ord($1))/gex;
            $expected = "200 $r->{name} $up$query";

        } else {
            $misses++;
            $expected = '404';
        }

        if ($got->status == 200) {
            my $uri = $got->up_uri;
            my ($of) = $uri =~ m{^/(r\d+)};
            $seen = '200 ' . ($of || '?') . " $uri";

        } else {
            $seen = $got->status;
        }

        next if $seen eq $expected;

        $differ++;
        diag("configuration $c: $method $host $path$query "
             . json_encode(\%h) . "\n want $expected\n got  $seen\n routes "
             . json_encode(\@routes)) if $differ <= 5;
    }
}

is($differ, 0, "$total requests (seed $seed): differences");
cmp_ok($misses, '>', $total / 50, "$misses without a route");
cmp_ok($open, '<', $total / 10, "$open that the rules leave open");

finish();
