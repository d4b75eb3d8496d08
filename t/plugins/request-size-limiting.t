# request-size-limiting: with a length, in chunks, at the edge.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my ($true, $false) = (JSON::PP::true(), JSON::PP::false());
my $upstream = echo_start();

my %cases = (
    bytes => { allowed_payload_size => 10, size_unit => 'bytes' },
    kilo => { allowed_payload_size => 2, size_unit => 'kilobytes' },
    mega => { allowed_payload_size => 1 },
    default => {},
    length => { require_content_length => $true },
    zero => { allowed_payload_size => 0, size_unit => 'bytes' },
);

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream/",
        routes => [
            (map { {
                name => $_, paths => ["/$_"], plugins => [
                    { name => 'request-size-limiting',
                      config => $cases{$_} } ]
            } } sort keys %cases),
            { name => 'stream', paths => ['/stream'],
              request_buffering => $false, plugins => [
                { name => 'request-size-limiting', config =>
                  { allowed_payload_size => 10, size_unit => 'bytes' } } ] },
            { name => 'keyed', paths => ['/keyed'], plugins => [
                { name => 'request-size-limiting', config =>
                  { allowed_payload_size => 10, size_unit => 'bytes' } },
                { name => 'key-auth', config => { key_in_body => $true } } ],
            },
        ]
    } ],
    consumers => [ { username => 'a',
                     keyauth_credentials => [ { key => 'k' } ] } ],
});

sub post
{
    my ($path, $size, %headers) = @_;

    return $node->get($path, method => 'POST', body => 'x' x $size,
                      headers => \%headers);
}

sub chunks
{
    my ($path, $sizes, %o) = @_;
    my $c = KongHttp->connect($node->{proxy});

    $c->send("POST $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
             . join('', map { "$_: $o{$_}\r\n" } keys %o)
             . "Transfer-Encoding: chunked\r\n\r\n");

    for my $size (@$sizes) {
        nap(0.02);
        local $SIG{PIPE} = 'IGNORE';
        $c->send(sprintf("%x\r\n%s\r\n", $size, 'x' x $size));
    }

    local $SIG{PIPE} = 'IGNORE';
    $c->send("0\r\n\r\n");

    return $c->answer('POST');
}

is(post('/bytes', 10)->status, 200, 'as many as allowed');
my $a = post('/bytes', 11);
is($a->status, 413, 'one more');
is($a->json->{message}, 'Request size limit exceeded', 'by name');
is(post('/bytes', 11, Expect => '100-continue')->status, 417,
   'Expect: 100-continue');
is(post('/bytes', 11, Accept => 'text/plain')->header('content-type'),
   'text/plain; charset=utf-8', 'as accepted');
is(post('/kilo', 2048)->status . post('/kilo', 2049)->status, '200413',
   'kilobytes');
is(post('/mega', 1 << 20)->status . post('/mega', (1 << 20) + 1)->status,
   '200413', 'megabytes');
is(post('/default', 2_000_000)->status, 200, '128 of them by default');
is(post('/zero', 0)->status . post('/zero', 1)->status, '200413', 'nothing');
is($node->get('/bytes')->status, 200, 'no body');
is($node->get('/bytes', method => 'HEAD')->status, 200, 'HEAD');

for my $path ('/bytes', '/stream') {
    $a = chunks($path, [ 3, 4, 3 ]);
    is($a->status, 200, "$path: chunks");
    is(length(($a->json || {})->{body} || ''), 10, 'all of them');
    $a = chunks($path, [ 3, 4, 4 ]);
    is($a->status, 413, 'one too many');
    is($a->json->{message}, 'Request size limit exceeded', 'by name');
    is(chunks($path, [ 11 ], Expect => '100-continue')->status, 417,
       'Expect: 100-continue');
    like(chunks($path, [ 20 ], Accept => 'text/html')->body,
         qr{<p>Request size limit exceeded\.</p>}, 'as accepted');
}

# what comes behind the limit is not read: the answer is there at once
my $c = KongHttp->connect($node->{proxy}, timeout => 5);
$c->send("POST /bytes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
         . "\r\nfffffff\r\n" . 'x' x 100);
is($c->answer('POST')->status, 413, 'an endless chunk');

is(chunks('/keyed', [ 5 ], apikey => 'k')->status, 200,
   'read for another plugin before');
is(chunks('/keyed', [ 50 ], apikey => 'k')->status, 413, 'and counted');

is($node->get('/length')->status, 411, 'require_content_length');
is($node->get('/length')->json->{message},
   'A valid Content-Length header is required', 'by name');
is(post('/length', 5)->status, 200, 'with one');
is(chunks('/length', [ 5 ])->status, 200, 'in chunks');

finish();
