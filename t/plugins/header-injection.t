# Nothing gets out of its line: what clients send through templates, and what
# configurations and names of consumers hold, never makes a header of its own,
# neither upstream nor in the answer.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $evil = "a\r\nX-Evil: 1\r\n\r\nb\0c\x7f";
my $safe = 'a%0D%0AX-Evil: 1%0D%0A%0D%0Ab%00c%7F';
my $true = JSON::PP::true();

# templates of the request
my %templates = (
    lookup => { add => { headers => ['X-T:$(query_params.a)'] } },
    lua => { add => { headers => ['X-T:$((query_params.a or "") .. "")'] } },
    text => { add => { headers => ['X-T:$("a\r\nX-Evil: 1")'] } },
    append => { append => { headers => ['X-T:$(query_params.a)'] } },
    host => { add => { headers => ['host:x'] },
              replace => { headers => ['host:$(query_params.a)'] } },
    uri => { replace => { uri => '/u$(query_params.a)/x' } },
    query => { add => { querystring => ['x:$(query_params.a)'] } },
    header => { add => { headers => ['X-T:$(headers.x_in)'] } },
);

# configurations of the answer, and of the request
my %plugins = (
    redirect => [ redirect => { location => "http://a.test/$evil" } ],
    response => [ 'response-transformer' => {
        add => { headers => ["X-R:$evil"] } } ],
    type => [ 'request-termination' => { content_type => "text/$evil",
                                         body => 'x' } ],
    cors => [ cors => { origins => ['*'], headers => [$evil],
                        exposed_headers => [$evil] } ],
    realm => [ 'key-auth' => { realm => $evil } ],
    basic => [ 'basic-auth' => { realm => $evil } ],
    id => [ 'correlation-id' => { header_name => "X-C\r\nX-Evil",
                                  echo_downstream => $true } ],
    fixed => [ 'request-transformer' => {
        add => { headers => ["X-T:$evil"] } } ],
);

sub route
{
    my ($name, $plugin, $config) = @_;

    return { name => $name, paths => ["/$name/"],
             plugins => [ { name => $plugin, config => $config } ] };
}

my $node = node_start(config => {
    _format_version => '3.0',
    services => [ { name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [
            (map { route($_, 'request-transformer', $templates{$_}) }
             sort keys %templates),
            (map { route("c-$_", @{ $plugins{$_} }) } sort keys %plugins),
            route('auth', 'key-auth', { }),
        ] } ],
    consumers => [ { username => "u\r\nX-Evil: 1", custom_id => $evil,
                     keyauth_credentials => [ { key => 'k' } ] } ]
});

my @values = ('%0d%0aX-Evil:%201', '%0aX-Evil:1', '%0d%0a%0d%0aGET%20/x%20'
              . 'HTTP/1.1%0d%0aX-Evil:%201%0d%0a%0d%0a', '%00%7f%1b');

for my $path (sort keys %templates) {
    for my $value (@values) {
        my $a = $node->get("/$path/?a=$value", headers => { X_IN => 'x',
                                                            'X-In' => 'y' });

        # what nginx itself refuses is fine, too
        is($a->status, 200, "$path $value");
        is($a->up('x-evil'), undef, "$path: no header of its own");
    }
}

is($node->get('/lookup/?a=' . $values[0])->up('x-t'), '%0D%0AX-Evil: 1',
   'it is escaped');
is($node->get('/lookup/?a=a%09b')->up('x-t'), "a\tb", 'tabs may stay');
is($node->get('/lookup/?a=%c3%a9')->up('x-t'), "\xe9", 'and UTF-8');

for my $path (sort keys %plugins) {
    my $a = $node->get("/c-$path/", headers => { Origin => 'http://x.test' });

    cmp_ok($a->status, '>=', 200, "$path: " . $a->status);
    cmp_ok($a->status, '<', 502, "$path: an answer")
        if $path ne 'type';
    is($a->header('x-evil'), undef, "$path: no header of its own");
    is(eval { $a->up('x-evil') }, undef, "$path: nor upstream")
        if $a->status == 200;
    unlike($a->body, qr/^X-Evil/m, "$path: nor does the body begin early");
}

is($node->get('/c-fixed/')->up('x-t'), $safe, 'a header of a configuration');
is($node->get('/c-redirect/')->header('location'), "http://a.test/$safe",
   'a Location');
is($node->get('/c-type/')->header('content-type'), "text/$safe",
   'a Content-Type');

my $a = $node->get('/auth/', headers => { apikey => 'k' });
is($a->up('x-evil'), undef, 'a consumer');
is($a->up('x-consumer-username'), 'u%0D%0AX-Evil: 1', 'by name');
is($a->up('x-consumer-custom-id'), $safe, 'and by its other id');

finish();
