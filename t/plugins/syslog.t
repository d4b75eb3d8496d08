# syslog: what a syslog daemon gets on its socket; facility, log_level,
# successful_severity, client_errors_severity, server_errors_severity,
# custom_fields_by_lua; a daemon that hangs, or starts anew.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongLog;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $sink = sink_new('unix');

sub syslog
{
    return [ { name => 'syslog', config => { @_ } } ];
}

my %plugins = (
    plain => syslog(),
    local => syslog(facility => 'local3', successful_severity => 'notice',
                    client_errors_severity => 'warning',
                    server_errors_severity => 'crit',
                    custom_fields_by_lua => { x => 'return 1' }),
    level => syslog(log_level => 'err', successful_severity => 'info',
                    client_errors_severity => 'warning',
                    server_errors_severity => 'err'),
);

my $node = node_start(
    workers => 2, env => { KONG_NGINX_HTTP_KONG_SYSLOG => $sink->{path} },
    config => log_config($upstream, %plugins));

my $n = 0;

# the next message: (priority, record)
sub message
{
    wait_until(10, sub { $sink->count > $n });

    my $line = (split(/\n/, $sink->text))[$n++];

    return () if !defined $line;

    my ($pri, $json) = $line
        =~ /^<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d kong\[\d+\]: (\{.*)/;

    return ($pri, defined $json ? json_decode($json) : diag($line));
}

$node->get('/plain');
my ($pri, $r) = message();
is($pri, 1 * 8 + 6, 'user, info');
is($r->{route}{name}, 'plain', 'a record');

for my $case ([ 200, 5 ], [ 404, 4 ], [ 503, 2 ]) {
    $node->get('/local', headers => { 'X-Echo-Status' => $case->[0] });
    ($pri, $r) = message();
    is($pri, 19 * 8 + $case->[1], "local3, the severity of $case->[0]");
    is($r->{response}{status}, $case->[0], 'status');
    is($r->{x}, 1, 'custom_fields_by_lua');
}

$node->get('/level', headers => { 'X-Echo-Status' => $_ }) for 200, 404, 500;
($pri, $r) = message();
is($r->{response}{status}, 500, 'what is below log_level is not sent');
is($pri, 8 + 3, 'err');

# a daemon that hangs, for longer than its socket has room
$sink->pause;
my $start = now();
$node->get("/plain/$_") for 1 .. 60;
cmp_ok(now() - $start, '<', 10, 'nobody waits');
$sink->resume;
ok(wait_until(15, sub { $sink->count >= $n + 60 }), 'nothing is lost');
$n += 60;

# and one that starts anew
$sink->stop;
$node->get("/plain/$_") for 1 .. 5;
$sink->start;
ok(wait_until(15, sub { $sink->count >= $n + 5 }), 'a new socket');

finish();
