# response-transformer: headers, JSON bodies and what is left alone.

use strict;
use warnings;

use IO::Compress::Gzip ();
use IO::Socket::INET ();
use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

# --- an upstream that says what the test wants: /n answers the nth

my @answers;

sub answer
{
    my ($type, $body, %o) = @_;

    my $head = "HTTP/1.1 " . ($o{status} || '200 OK') . "\r\n"
               . (defined $type ? "Content-Type: $type\r\n" : '')
               . ($o{headers} || '');

    push @answers, $o{chunked}
        ? $head . "Transfer-Encoding: chunked\r\n\r\n"
          . join('', map { sprintf("%x\r\n%s\r\n", length $_, $_) }
                 unpack("(a$o{chunked})*", $body)) . "0\r\n\r\n"
        : $head . 'Content-Length: ' . length($body) . "\r\n\r\n$body";

    return '/' . $#answers;
}

my $json = 'application/json';
my $gzip;
IO::Compress::Gzip::gzip(\'{"f":1}', \$gzip);

my $big = '{"f":1,"k":"' . ('x' x 3000000) . '"}';
my $huge = '{"f":1,"k":"' . ('x' x 9000000) . '"}';

my %body = (
    object => answer($json, '{"f":"1", "g" : 1.50, "b":false, "n":null, '
                            . '"a":[1], "o":{"x": [1, 2]}}'),
    typed => answer('application/JSON ; charset=utf-8', '{"f":"1"}'),
    second => answer('text/x, application/json', '{"f":"1"}'),
    problem => answer('application/problem+json', '{"f":"1"}'),
    text => answer('text/plain', '{"f":"1"}'),
    none => answer(undef, '{"f":"1"}'),
    array => answer($json, '[{"f":"1"}]'),
    broken => answer($json, '{"f":"1"'),
    empty => answer($json, ''),
    unicode => answer($json, "{\"f\":\"1\",\"\\u00e9\":\"\x{c3}\x{a9}\"}"),
    chunked => answer($json, '{"f":"1","k":"v"}', chunked => 3),
    error => answer($json, '{"f":"1","k":"v"}', status => '404 Not'),
    gzip => answer($json, $gzip, headers => "Content-Encoding: gzip\r\n"),
    partial => answer($json, '{"f":"1"}', status => '206 Partial Content',
                      headers => "Content-Range: bytes 0-8/100\r\n"),
    big => answer($json, $big), huge => answer($json, $huge),
    headers => answer($json, '{"f":"1"}', headers => "X-A: 1\r\nX-B: 2\r\n"
                      . "X-A: 11\r\nServer: up\r\nLocation: /here\r\n"),
);

my $port = free_port();
my $listener = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1',
    LocalPort => $port, Proto => 'tcp', ReuseAddr => 1) or die $!;

spawn(sub {
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';

    while (my $c = $listener->accept) {
        next if fork;

        while (defined(my $line = <$c>)) {
            my ($method, $n) = $line =~ m{^(\S+) /(\d+)};
            while (defined(my $row = <$c>)) { last if $row eq "\r\n" }
            my $out = $answers[$n];
            $out =~ s/\r\n\r\n.*/\r\n\r\n/s if $method eq 'HEAD';
            print $c $out;
            $c->flush;
        }

        POSIX::_exit(0);
    }
});

close($listener);

# --- configurations

my %cases = (
    remove => { remove => { headers => ['X-a', 'x-b:9'],
                            json => ['f', 'o', 'nope'] } },
    rename => { rename => { headers => ['x-a:X-New', 'X-None:X-No',
                                        'x-b:X-B'],
                            json => ['f:ff', 'b:bb', 'g:n'] } },
    replace => { replace => { headers => ['x-a:R', 'x-none:R', 'server:R',
                                          'x-b:'],
                              json => ['f:R', 'b:R', 'n:R', 'none:R', 'a:R']
                 } },
    add => { add => { headers => ['x-a:A', 'X-New:n:m'],
                      json => ['f:A', 'b:B', 'h:H'] } },
    append => { append => { headers => ['x-a:P', 'X-New:P', 'x-void:'],
                            json => ['f:P', 'a:P', 'h:P', 'g:P', 'o:P'] } },
    types => { add => { json => ['n1:1.50', 'n2:0x', 'n3:-2e3', 'b1:true',
                                 'b2:no', 's:7', 'rest:1', 'nul:'],
                        json_types => ['number', 'number', 'number',
                                       'boolean', 'boolean', 'string'] },
               replace => { json => ['g:42'], json_types => ['number'] },
               append => { json => ['a:2'], json_types => ['number'] } },
    text => { add => { json => ['q:say "a/b" \\n'] } },
    order => { remove => { headers => ['x-a'] },
               add => { headers => ['x-a:A'] },
               rename => { headers => ['x-a:x-c', 'x-b:x-c'] },
               replace => { headers => ['x-c:R'] } },
    type => { replace => { headers => ['content-type:text/plain'] },
              remove => { json => ['f'] } },
    framing => { add => { headers => ['transfer-encoding:chunked'] },
                 replace => { headers => ['content-length:3',
                                          'connection:x'] },
                 append => { headers => ['content-length:3',
                                         'bad name:1'] } },
    location => { replace => { headers => ['location:/there'] },
                  remove => { headers => ['server', 'content-type',
                                          'x-kong-request-id'] } },
    ends => { add => { headers => ['x-e:E'], json => ['k:K'] },
              remove => { json => ['message'] } },
    streamed => { remove => { json => ['f'] } },
);

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    plugins => [ { name => 'response-transformer', config => {
        add => { headers => ['x-global:G'], json => ['g:G'] } } } ],
    services => [ {
        name => 'echo', url => "http://127.0.0.1:$port/",
        routes => [ map { {
            name => $_, paths => ["/$_"],
            response_buffering => $_ eq 'streamed' ? JSON::PP::false()
                                                   : JSON::PP::true(),
            plugins => [ { name => 'response-transformer',
                           config => $cases{$_} },
                ($_ eq 'ends' ? { name => 'request-termination',
                    config => { status_code => 418, message => 'm' } } : ())
            ]
        } } sort keys %cases ]
    } ]
});

sub get { return $node->get("/$_[0]$body{$_[1]}", @_[2 .. $#_]) }

# --- headers

my $a = get('remove', 'headers');
is($a->header('x-a'), undef, 'all of a name are removed');
is($a->header('x-b'), undef, 'what follows the colon is ignored');

$a = get('rename', 'headers');
is($a->header('x-new'), '1, 11', 'all values move');
is($a->header('x-a'), undef, 'the old name is gone');
is($a->header('x-no'), undef, 'nothing to rename');
is($a->header('x-b'), 2, 'a change of case keeps the header');

$a = get('replace', 'headers');
is($a->header('x-a'), 'R', 'replaced, one value');
is($a->header('x-none'), undef, 'only what is there');
is($a->header('server'), 'R', 'Server');
is($a->header('x-b'), 2, 'no value: no change');

$a = get('add', 'headers');
is($a->header('x-a'), '1, 11', 'add leaves what is there');
is($a->header('x-new'), 'n:m', 'the first colon splits');

$a = get('append', 'headers');
is($a->header('x-a'), '1, 11, P', 'appended');
is($a->header('x-new'), 'P', 'appended to nothing');
is($a->header('x-void'), undef, 'an entry without a value');

$a = get('order', 'headers');
is($a->header('x-a'), undef, 'what was there is judged before the work');
is($a->header('x-c'), 2, 'a later rename wins');

$a = get('framing', 'headers');
is($a->body, '{"f":"1"}', 'the message\'s framing cannot be changed');
is($a->header('transfer-encoding'), undef, 'nor added');
is($a->header('bad name'), undef, 'a name that is none');

$a = get('location', 'headers');
is($a->header('location'), '/there', 'Location');
is($a->header('server'), undef, 'Server is removed');
is($a->header('content-type'), undef, 'Content-Type is removed');
is($a->header('x-kong-request-id'), undef, 'headers of the gateway too');

# --- bodies

my $rest = '"g":1.50,"b":false,"n":null,"a":[1],"o":{"x":[1,2]}';

$a = get('remove', 'object');
is($a->body, '{"g":1.50,"b":false,"n":null,"a":[1]}', 'json: remove');
is($a->header('content-type'), $json, 'of the same type');
is(get('rename', 'object')->body,
   '{"ff":"1","n":1.50,"bb":false,"a":[1],"o":{"x":[1,2]}}', 'json: rename');
is(get('replace', 'object')->body,
   '{"f":"R","g":1.50,"b":false,"n":"R","a":"R","o":{"x":[1,2]}}',
   'json: replace, false is absent');
is(get('add', 'object')->body,
   '{"f":"1","g":1.50,"b":"B","n":null,"a":[1],"o":{"x":[1,2]},"h":"H"}',
   'json: add');
is(get('append', 'object')->body,
   '{"f":["1","P"],"g":["P"],"b":false,"n":null,"a":[1,"P"],'
   . '"o":{"x":[1,2]},"h":["P"]}', 'json: append');
is(get('types', 'object')->body,
   '{"f":"1","g":42,"b":false,"n":null,"a":[1,2],"o":{"x":[1,2]},'
   . '"n1":1.5,"n3":-2000,"b1":true,"b2":false,"s":"7","rest":"1",'
   . '"nul":"null"}', 'json_types');
is(get('text', 'typed')->json->{q}, 'say "a/b" \\\\n',
   'quotes and slashes of a value');

is(get('remove', $_)->body, '{}', "$_: changed") for 'typed', 'second';
is(get('remove', $_)->body, '{"f":"1"}', "$_: left alone")
    for 'problem', 'text', 'none', 'partial';
is(get('remove', 'partial')->header('content-length'), 9,
   'with its length');
is(get('remove', 'array')->body, '[{"f":"1"}]', 'an array is left alone');
is(get('remove', 'broken')->body, '{"f":"1"', 'what is no JSON too');
is(get('remove', 'empty')->body, '', 'and nothing');
is(get('remove', 'unicode')->body, "{\"\\u00e9\":\"\x{c3}\x{a9}\"}",
   'unicode');
is(get('remove', 'chunked')->body, '{"k":"v"}', 'chunks');
is(get('streamed', 'chunked')->body, '{"k":"v"}', 'chunks, unbuffered');

$a = get('remove', 'error');
is($a->status, 404, 'an error of the upstream');
is($a->body, '{"k":"v"}', 'is changed too');

$a = get('remove', 'gzip');
is($a->body, $gzip, 'a compressed body is left alone');
is($a->header('content-length'), length $gzip, 'with its length');

is(length get('remove', 'big')->body, length($big) - 6, 'a body of 3 MB');
is(length get('streamed', 'big')->body, length($big) - 6, 'unbuffered');
is(get('remove', 'huge')->body, $huge, 'one past the limit passes');
is(get('streamed', 'huge')->body, $huge, 'unbuffered');

$a = get('remove', 'object', method => 'HEAD');
is($a->status, 200, 'HEAD');
is($a->header('content-length'), undef, 'tells no length');
is(get('remove', 'text', method => 'HEAD')->header('content-length'), 9,
   'but of a body that is not changed');

$a = get('type', 'typed');
like($a->header('content-type'), qr{^text/plain(; charset=UTF-8)?$},
     'the type is replaced');
is($a->body, '{"f":"1"}', 'then the body is no JSON');

my $conn = KongHttp->connect($node->{proxy});
is($conn->request("/remove$body{object}")->status, 200, 'kept alive');
is($conn->request("/remove$body{typed}")->body, '{}', 'the connection');

$a = $conn->request("/remove$body{typed}", version => '1.0');
is($a->body, '{}', 'HTTP/1.0');

# --- answers of the gateway

$a = $node->get('/ends');
is($a->status, 418, 'a plugin answers');
is($a->header('x-e'), 'E', 'with the header');
is($a->body, '{"k":"K"}', 'and the member');

$a = $node->get('/none');
is($a->status, 404, 'no route');
is($a->header('x-global'), 'G', 'the global one');
is($a->json->{g}, 'G', 'changes the error body');

finish();
