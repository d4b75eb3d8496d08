# Ten thousand certificates: each name has its own, workers keep as many as
# they may and no more, and a change is still one.

use strict;
use warnings;

use KongCert;
use KongNode;
use KongTest;
use Test::More;

my $N = 10000;
my $ASKED = 1500;            # more than a worker keeps

# certificates that differ in what comes behind them
my @pairs = map { cert_make(cn => "n$_.cn", type => 'ec') } 0 .. 12;

sub chain
{
    my ($i) = @_;
    my $n = scalar @pairs;
    my @behind = map { $pairs[$_]{cert} } int($i / $n) % $n,
                                         int($i / $n / $n) % $n;

    return join('', $pairs[$i % $n]{cert}, @behind);
}

sub config
{
    my ($route) = @_;

    return {
        _format_version => '3.0',
        certificates => [ map { {
            id => sprintf('%08x-0000-4000-8000-%012d',
                          $_ * 2654435761 % 2**32, $_),
            cert => chain($_), key => $pairs[$_ % @pairs]{key},
            snis => [ { name => "h$_.test" } ] } } 0 .. $N - 1 ],
        services => [ { name => 's', url => 'http://127.0.0.1:1', routes => [
            { name => 'r', paths => [ '/' ],
              plugins => [ { name => 'request-termination',
                             config => { status_code => 200,
                                         message => $route } } ] } ] } ],
    };
}

my $node = node_start(workers => 1, config => { _format_version => '3.0' });
my $worker = ($node->worker_pids)[0];

# reading a key takes OpenSSL half a millisecond
sub served
{
    my ($message) = @_;

    $node->write_config(config($message));

    return wait_until(300, sub {
        (($node->get('/')->json || {})->{message} // '') eq $message
    });
}

ok(served('one'), 'ten thousand are served');

for my $i (0, 1, 1234, 5678, $N - 1) {
    is(cert_shown($node->{proxy_ssl}, sni => "h$i.test")->{cn},
       'n' . $i % @pairs . '.cn', "the certificate of h$i.test");
}

# many names in one process
sub ask
{
    my ($from, $to) = @_;
    my $config = spit(temp_dir() . '/urls', join('', map {
        "url = https://h$_.test:$node->{proxy_ssl}/\noutput = /dev/null\n"
    } $from .. $to));

    my (undef, $out) = run({ timeout => 300 }, 'curl', '-sk', '-K', $config,
        '--connect-to', "::127.0.0.1:$node->{proxy_ssl}", '-w',
        "%{http_code}\n");
    my $good = () = $out =~ /^200$/mg;

    return $good;
}

is(ask(0, 99), 100, 'a hundred');

my $before = rss_kb($worker);
is(ask(0, $ASKED - 1), $ASKED, 'as many handshakes as names');

my $after = rss_kb($worker);
is(ask(2000, 2000 + $ASKED - 1), $ASKED, 'and other ones');

my $later = rss_kb($worker);
cmp_ok($after - $before, '<', 60000, 'what they take: '
       . ($after - $before) . ' KiB') if !sanitized();
cmp_ok($later - $after, '<', 12000, 'and no more: '
       . ($later - $after) . ' KiB') if !sanitized();

ok(served('two'), 'another message of one plugin');
is(ask(0, 99), 100, 'with the same certificates');

$node->write_config({ _format_version => '3.0' });
$node->wait_status('/', 404, seconds => 60);
is(cert_shown($node->{proxy_ssl}, sni => 'h1.test')->{cn} =~ /^n\d/ ? 1 : 0,
   0, 'the default one is shown');

finish();
