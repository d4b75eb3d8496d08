# Consistent hashing: every input and its fallback, cookies, and what moves
# when a target comes, goes or fails.

use strict;
use warnings;

use KongBalancer;
use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my @port = map { echo_start() } 1 .. 5;
my $dead = free_port();
my $all = [ map { [ "127.0.0.1:$_" ] } @port[0 .. 3] ];

sub hashed
{
    my ($on, %more) = @_;

    return { algorithm => 'consistent-hashing', hash_on => $on,
             targets => $all, %more };
}

my %upstreams = (
    header => hashed('header', hash_on_header => 'X-Key'),
    arg => hashed('query_arg', hash_on_query_arg => 'a'),
    path => hashed('path'),
    ip => hashed('ip'),
    consumer => hashed('consumer', hash_fallback => 'header',
                       hash_fallback_header => 'X-Key'),
    capture => hashed('uri_capture', hash_on_uri_capture => 'who',
                      route => { paths => [ '~/capture/(?<who>[a-z0-9]+)' ],
                                 strip_path => JSON::PP::false() }),
    number => hashed('uri_capture', hash_on_uri_capture => '1',
                     route => { paths => [ '~/number/([a-z0-9]+)' ],
                                strip_path => JSON::PP::false() }),
    cookie => hashed('cookie', hash_on_cookie => 'sticky',
                     hash_on_cookie_path => '/shop'),
    fallback => hashed('header', hash_on_header => 'X-None',
                       hash_fallback => 'query_arg',
                       hash_fallback_query_arg => 'a'),
    broken => hashed('header', hash_on_header => 'X-Key',
                     targets => [ @$all[0 .. 2], [ "127.0.0.1:$dead" ] ]),
);

my $node = node_start(workers => 2, config => balancer_config(%upstreams));

# where each of many values goes, asked twice
sub places
{
    my ($ask) = @_;
    my (%to, $moved);

    for my $i (1 .. 60, 1 .. 60) {
        my $at = balancer_at($ask->($i));

        $moved++ if defined $to{$i} && $to{$i} ne $at;
        $to{$i} = $at;
    }

    return (\%to, $moved || 0);
}

sub spread_of { my %n; $n{$_}++ for values %{ $_[0] }; return scalar keys %n }

my %ask = (
    header => sub { $node->get('/header', headers => { 'X-Key' => "k$_[0]" }) },
    arg => sub { $node->get("/arg?a=k$_[0]") },
    path => sub { $node->get("/path/k$_[0]") },
    consumer => sub {
        $node->get('/consumer', headers => { 'X-Key' => "k$_[0]" })
    },
    capture => sub { $node->get("/capture/k$_[0]") },
    number => sub { $node->get("/number/k$_[0]") },
    fallback => sub { $node->get("/fallback?a=k$_[0]") },
    cookie => sub {
        $node->get('/cookie', headers => { Cookie => "x=1; sticky=k$_[0]" })
    },
);

my %places;

for my $kind (sort keys %ask) {
    my ($to, $moved) = places($ask{$kind});

    is($moved, 0, "$kind: the same value, the same target");
    is(spread_of($to), 4, "$kind: all targets are used");
    $places{$kind} = $to;
}

is_deeply($places{$_}, $places{header}, "$_: it is the value that counts")
    for qw(arg consumer fallback cookie capture number);

my ($to, $moved) = places(sub { $node->get('/ip') });
is(spread_of($to), 1, 'one client, one target');

($to, $moved) = places(sub { $node->get('/header') });
is(spread_of($to), 1, 'no value is a value');

is(balancer_at($node->get('/arg?a=2&a=1')),
   balancer_at($node->get('/arg?a=1&a=2')), 'arguments are sorted');
is(balancer_at($node->get('/arg?a=1%2C2')),
   balancer_at($node->get('/arg?a=2&a=1')), 'and joined');

# a cookie is made for who has none, and leads back to the same target
my $answer = $node->get('/cookie');
my $set = $answer->header('Set-Cookie') || '';
like($set, qr{^sticky=[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}
              -[0-9a-f]{12};[ ]Path=/shop;[ ]Same-Site=Lax;[ ]HttpOnly$}x,
     'a cookie');
my ($cookie) = $set =~ /^([^;]+)/;
my $bad = grep {
    my $a = $node->get('/cookie', headers => { Cookie => $cookie });
    balancer_at($a) ne balancer_at($answer)
        || defined $a->header('Set-Cookie')
} 1 .. 20;
is($bad, 0, 'the cookie leads back, and is not set again');
my %cookies = map { ($node->get('/cookie')->header('Set-Cookie') || '') => 1 }
              1 .. 10;
is(scalar(keys %cookies), 10, 'each client gets its own');

# what a dead target had goes elsewhere, the rest stays
my %sent = map {
    my $i = $_;
    $i => balancer_at($node->get('/broken', headers => { 'X-Key' => "k$i" }))
} 1 .. 60;
is(scalar(grep { $_ !~ /^\d{4,5}$/ } values %sent), 0,
   'nobody sees the dead target');
is(scalar(grep { $places{header}{$_} ne $port[3]
                 && $places{header}{$_} ne $sent{$_} } keys %sent), 0,
   'only its values have moved');

# a target comes: about one value in five moves, and only to it
$upstreams{header}{targets} = [ @$all, [ "127.0.0.1:$port[4]" ] ];
is($node->post_config(balancer_config(%upstreams))->status, 201,
   'a fifth target');
my ($now) = places($ask{header});
my @gone = grep { $now->{$_} ne $places{header}{$_} } keys %$now;
my @new = grep { $now->{$_} eq $port[4] } keys %$now;
cmp_ok(scalar(@new), '>', 0, 'the new target is used');
cmp_ok(scalar(@gone), '<', 25, 'few values have moved: ' . @gone);

$upstreams{header}{targets} = $all;
is($node->post_config(balancer_config(%upstreams))->status, 201,
   'it goes again');
($now) = places($ask{header});
is_deeply($now, $places{header}, 'everything is as before');

finish();
