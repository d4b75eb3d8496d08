# The path that the upstream sees: strip_path, service paths, trailing
# slashes, queries, encoding, dot segments.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();

# service path, route path, strip, request, what is sent
my @table = map { [ split ] } grep { /\S/ } split(/\n/, <<'END');
    -    /fv0   1  /fv0       /
    -    /fv0   1  /fv0/      /
    -    /fv0   1  /fv0/req   /req
    -    /fv0   1  /fv0req    /req
    -    /fv0/  1  /fv0/      /
    -    /fv0/  1  /fv0/req   /req
    /s   /      1  /          /s
    /s   /      1  /fv0       /s/fv0
    /s   /      1  /fv0/      /s/fv0/
    /s   /      1  /fv0/req   /s/fv0/req
    /s   /      0  /          /s
    /s   /      0  /fv0       /s/fv0
    /s   /      0  /fv0/      /s/fv0/
    /s   /fv0   1  /fv0       /s
    /s   /fv0   1  /fv0/      /s/
    /s   /fv0   1  /fv0/req   /s/req
    /s   /fv0   1  /fv0req    /s/req
    /s   /fv0   0  /fv0       /s/fv0
    /s   /fv0   0  /fv0/      /s/fv0/
    /s   /fv0   0  /fv0req    /s/fv0req
    /s   /fv0/  1  /fv0/      /s/
    /s   /fv0/  1  /fv0/req   /s/req
    /s   /fv0/  0  /fv0/      /s/fv0/
    /s/  /      1  /          /s/
    /s/  /      1  /fv0       /s/fv0
    /s/  /      0  /fv0/req   /s/fv0/req
    /s/  /fv0   1  /fv0       /s
    /s/  /fv0   1  /fv0/      /s/
    /s/  /fv0   1  /fv0/req   /s/req
    /s/  /fv0   1  /fv0req    /s/req
    /s/  /fv0   0  /fv0       /s/fv0
    /s/  /fv0   0  /fv0/      /s/fv0/
    /s/  /fv0/  1  /fv0/      /s/
    /s/  /fv0/  0  /fv0/req   /s/fv0/req
END

# others: strips at a dot, regexes strip what they matched, encodings
push @table, map { [ split ] } grep { /\S/ } split(/\n/, <<'END');
    -    /fo    1  /fo../x          /x
    -    /fo    1  /fo./x           /x
    -    /fo    1  /fo..            /
    /s   ~/v\d+ 1  /v12/x           /s/x
    /s   ~/v\d+ 0  /v12/x           /s/v12/x
    /s   ~/v\d+/(?<i>\w+)$ 1 /v1/ab /s
    -    /e     0  /e/a%20b         /e/a%20b
    -    /e     0  /e/%61           /e/a
    -    /e     0  /e/%2f           /e/%2F
    -    /e     0  /e/%c3%a9        /e/%C3%A9
    -    /e     0  /e/%7e           /e/~
    -    /e     0  /e//x            /e/x
    -    /e     0  /e/./x           /e/x
    -    /e     0  /x/../e/y        /e/y
    -    /e     0  /e/y/..          /e/
    -    /e     0  /e/%2e%2e/e/z    /e/z
    -    /e     0  /e/%25           /e/%25
    -    /e     0  /e/"x"           /e/%22x%22
    -    /e     0  /e/x?a=%20&b     /e/x?a=%20&b
    -    /e     0  /e/x?            /e/x?
    -    /e     0  /e/x?y=/../z//   /e/x?y=/../z//
    -    /e     0  /e/x?y?z         /e/x?y?z
    -    /e     1  /e?q             /?q
    -    /e     0  /e/a=b;c,d@f:g!h /e/a=b;c,d@f:g!h
    -    /e     0  /e/[x]           /e/[x]
    -    /e     0  /e/%5bx%5d       /e/%5Bx%5D
END

my (@services, %host);

for my $row (@table) {
    my ($base, $path, $strip) = @$row;
    my $key = "$base $path $strip";

    next if $host{$key};

    my $n = keys %host;
    $host{$key} = "h$n.test";

    push @services, {
        name => "s$n", host => '127.0.0.1', port => $upstream + 0,
        ($base eq '-' ? () : (path => $base)),
        routes => [ {
            name => "r$n", hosts => [ $host{$key} ], paths => [ $path ],
            strip_path => $strip ? JSON::PP::true() : JSON::PP::false()
        } ]
    };
}

my $node = node_start(config => {
    _format_version => '3.0', services => \@services
});

for my $row (@table) {
    my ($base, $path, $strip, $request, $want) = @$row;
    my $a = $node->get($request, host => $host{"$base $path $strip"});

    is($a->up_uri, $want, "$request: service $base, route $path, strip $strip")
        or diag($a->status . ' ' . $a->body);
}

# what the client sees of it in the upstream's headers
my $a = $node->get('/fv0/req', host => $host{'/s /fv0 1'});
is($a->up('x-forwarded-path'), '/fv0/req', 'X-Forwarded-Path');
is($a->up('x-forwarded-prefix'), '/fv0', 'X-Forwarded-Prefix');

$a = $node->get('/fv0/req', host => $host{'/s /fv0 0'});
is($a->up('x-forwarded-prefix'), undef, 'no prefix when nothing is stripped');

$a = $node->get('/fv0/req', host => $host{'/s / 1'});
is($a->up('x-forwarded-prefix'), undef, 'no prefix for /');

finish();
