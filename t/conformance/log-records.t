# The log records of eight requests, as a real Kong wrote them: the same
# fields with the same values, where they are not times, ids or lengths of
# what the upstream answered.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongLog;
use KongNode;
use KongTest;
use Test::More;

my $shared = shared_dir();
plan_skip('the recordings are not beside this checkout')
    if !defined $shared
       || !-f "$shared/conformance/log-records.jsonl";

my @recorded = map { json_decode($_) }
               split(/\n/, slurp("$shared/conformance/log-records.jsonl"));
my $upstream = echo_start();
my $dir = log_dir();

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    consumers => [ { username => 'alice', custom_id => 'a-1',
                     keyauth_credentials => [ { key => 'k' } ] } ],
    upstreams => [ { name => 'u.test',
                     targets => [ { target => "127.0.0.1:$upstream" } ] } ],
    services => [ {
        name => 'svc', host => 'u.test', path => '/base', tags => [ 't1' ],
        routes => [ { name => 'rt', paths => [ '/x' ],
                      plugins => [ { name => 'key-auth' } ] },
                    { name => 'open', paths => [ '/o' ] } ]
    } ],
    plugins => [ { name => 'file-log', config => { path => "$dir/log" } } ]
});

my @close = ('Connection', 'close');
my @requests = (
    (map { [ "/x/1?q=2&r=3", headers => [ \@close, [ 'apikey', 'k' ],
                                          [ 'User-Agent', 't/1' ] ] ] }
     1 .. 3),
    (map { [ '/o/2', method => 'POST', body => '{}',
             headers => [ [ 'Content-Type', 'application/json' ],
                          \@close ] ] } 1 .. 2),
    [ '/x', headers => [ \@close ] ],
    [ '/none', headers => [ \@close ] ],
);

for my $r (@requests) {
    my ($path, %o) = @$r;

    $node->get($path, host => 'a.test', %o);
}

$node->get_ssl('/o', headers => { Host => 'a.test', Connection => 'close',
                                  'X-Echo-Status' => 500 });

my @records = log_wait("$dir/log", scalar @recorded);

is(scalar @records, scalar @recorded, 'records');

for my $i (0 .. $#recorded) {
    my ($got, $want) = map { plain($_) } $records[$i], $recorded[$i];

    # curl sends these, the one who recorded did not
    delete @{ $got->{request}{headers} }{qw(user-agent accept)} if $i == 7;
    delete @{$_->{request}}{qw(size)} for $i == 7 ? ($got, $want) : ();

    is_deeply($got, $want, "record $i: $want->{request}{uri}")
        or diag(explain($got));
}

finish();


# a record without what differs from run to run
sub plain
{
    my ($record) = @_;
    my $r = json_decode(json_encode($record));

    for my $e (@{$r}{qw(route service consumer)}) {
        next if !defined $e;
        like($e->{$_}, qr/^\d+$/, $_) for qw(created_at updated_at);
        delete @{$e}{qw(created_at updated_at)};
    }

    for my $t (@{ $r->{tries} || [] }) {
        cmp_ok($t->{$_}, '>=', 0, $_)
            for qw(balancer_latency balancer_latency_ns);
        cmp_ok($t->{balancer_start}, '>=', $r->{started_at} - 5, 'start');
        cmp_ok(abs($t->{balancer_start_ns} / 1e6 - $t->{balancer_start}),
               '<=', 1, 'start in ns');
        $t->{$_} = 0 for keys %$t;
        $t->{ip} = 'ip';
    }

    is($r->{response}{headers}{'x-kong-request-id'}, $r->{request}{id},
       'id');

    for my $h ($r->{response}{headers}) {
        $h->{$_} = 'n' for grep { /latency|request-id|^content-length$/ }
                           keys %$h;
        $_ =~ s{kong/3\.9\.\d+}{kong} for values %$h;
    }

    $r->{response}{size} = 'n' if $r->{source} eq 'upstream';
    $r->{request}{id} = 'id';
    $r->{request}{url} =~ s/:\d+/:port/;
    $r->{request}{tls}{cipher} = 'c' if $r->{request}{tls};
    $r->{authenticated_entity}{id} = 'id' if $r->{authenticated_entity};
    $r->{request}{headers}{'x-credential-identifier'} = 'id'
        if $r->{request}{headers}{'x-credential-identifier'};

    my $l = $r->{latencies};

    cmp_ok($l->{$_}, '>=', 0, "latencies.$_") for qw(kong request receive);
    cmp_ok($l->{proxy}, '>=', $r->{source} eq 'upstream' ? 0 : -1, 'proxy');
    $l->{proxy} = 0 if $l->{proxy} > 0;
    $l->{$_} = 0 for qw(kong request receive);
    $r->{started_at} = 0;

    return $r;
}
