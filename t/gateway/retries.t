# Timeouts, retries, and connections that were kept too long: a request is
# sent again only when that is safe.

use strict;
use warnings;

use IO::Socket::INET ();
use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use POSIX ();
use Test::More;

# an upstream that closes the first `fail` connections once it has read the
# request, and writes one line a request into its log
sub flaky
{
    my ($fail, $log) = @_;
    my $port = free_port();
    my $l = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1',
                LocalPort => $port, ReuseAddr => 1) or die;

    spawn(sub {
        my $n = 0;

        while (my $c = $l->accept) {
            my $in = '';
            while (index($in, "\r\n\r\n") < 0) {
                sysread($c, $in, 65536, length $in) or last;
            }

            my ($line) = $in =~ /^(.*)\r\n/;
            open(my $out, '>>', $log);
            print $out "$line\n";
            close($out);

            if (++$n > $fail) {
                syswrite($c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                             . "Connection: close\r\n\r\nok");
            }
            close($c);
        }
    });

    close($l);

    return $port;
}

sub lines
{
    my ($log) = @_;
    my $text = slurp($log);

    return defined $text ? scalar(() = $text =~ /\n/g) : 0;
}

my %log = map { $_ => temp_dir() . "/$_.log" } qw(get post put never);
my %port = (get => flaky(2, $log{get}), post => flaky(1, $log{post}),
            put => flaky(2, $log{put}), never => flaky(99, $log{never}));
my $upstream = echo_start();

my $node = node_start(workers => 1, config => {
    _format_version => '3.0',
    services => [
        (map { {
            name => $_, url => "http://127.0.0.1:$port{$_}", retries => 3,
            routes => [ { name => $_, paths => ["/$_"] } ]
        } } qw(get post put never)),
        { name => 'slow', url => "http://127.0.0.1:$upstream", retries => 0,
          read_timeout => 400,
          routes => [ { name => 'slow', paths => ['/slow'] } ] },
        { name => 'patient', url => "http://127.0.0.1:$upstream",
          read_timeout => 5000, retries => 0,
          routes => [ { name => 'patient', paths => ['/patient'] } ] },
    ]
});

is($node->get('/get')->status, 200, 'GET is tried again');
is(lines($log{get}), 3, 'twice');

is($node->get('/put', method => 'PUT', body => 'x')->status, 200,
   'PUT is tried again');
is(lines($log{put}), 3, 'twice');

is($node->get('/post', method => 'POST', body => 'x')->status, 502,
   'POST is not tried again once it was sent');
is(lines($log{post}), 1, 'not once');

is($node->get('/never')->status, 502, 'tries end');
is(lines($log{never}), 4, 'after the first and three more');

my $start = now();
is($node->get('/slow', headers => { 'X-Echo-Delay' => 3000 })->status, 504,
   'read_timeout of the service');
my $took = now() - $start;
ok($took > 0.3 && $took < 2, "in time ($took s)");

is($node->get('/patient', headers => { 'X-Echo-Delay' => 900 })->status, 200,
   'another service has another one');

# a kept connection that the upstream has closed meanwhile: nobody notices
my $c = KongHttp->connect($node->{proxy});
my $bad = 0;

for my $n (1 .. 20) {
    my $a = $c->request('/patient', headers => { 'X-Echo-Close' => 'after' });
    $bad++ if $a->status != 200;
    $a = $c->request('/patient', method => $n % 2 ? 'POST' : 'GET',
                     ($n % 2 ? (body => 'x') : ()));
    $bad++ if $a->status != 200;
}

is($bad, 0, 'upstream connections that close between requests');

finish();
