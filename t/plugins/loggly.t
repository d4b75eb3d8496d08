# loggly: syslog messages with a token; host, port, key, tags, log_level,
# successful_severity, client_errors_severity, server_errors_severity,
# timeout, custom_fields_by_lua.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongLog;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $sink = sink_new('udp');

sub loggly
{
    return [ { name => 'loggly', config => {
        host => 'logs.test', port => $sink->{port}, key => 'to]ken', @_ } } ];
}

my %plugins = (
    plain => loggly(),
    own => loggly(tags => [ 'a"b', 'c' ], log_level => 'warning',
                  successful_severity => 'debug', timeout => 1,
                  client_errors_severity => 'warning',
                  server_errors_severity => 'alert',
                  custom_fields_by_lua => { x => 'return 1' }),
);

my $node = node_start(
    workers => 1, hosts => "127.0.0.1 logs.test\n",
    config => log_config($upstream, %plugins));

$node->get('/plain');
$node->get('/own', headers => { 'X-Echo-Status' => $_ }) for 200, 404, 500;

ok(wait_until(10, sub { $sink->count >= 3 }), 'messages');
my @lines = split(/\n/, $sink->text);
my $time = qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/;

like($lines[0], qr/^<14>1 $time \S+ kong \d+ - \[to\\\]ken\@41058 tag="kong"\] \{/,
     'token, tag and record');
like($lines[1],
     qr/^<12>1 $time \S+ kong \d+ - \[to\\\]ken\@41058 tag="a\\"b" tag="c"\] \{/,
     'tags, severity');
like($lines[2], qr/^<9>1 /, 'another one');
is(scalar @lines, 3, 'what is below log_level is not sent');

my ($json) = $lines[1] =~ /\] (\{.*)/;
is(json_decode($json)->{x}, 1, 'custom_fields_by_lua');
is(json_decode($json)->{response}{status}, 404, 'the record');

finish();
