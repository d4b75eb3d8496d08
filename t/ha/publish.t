# 200 configurations posted back to back under constant load on two workers.
# No request fails; none is answered by a mixture of generations; none that
# starts after the answer to a POST sees an older one; and memory stays flat
# over 1,000 more.

use strict;
use warnings;

use IO::Handle ();
use KongHttp;
use KongNode;
use KongTest;
use POSIX ();
use Test::More;

my $clients = 4;
my $more = $ENV{KONG_TEST_MORE_CONFIGS} || (sanitized() ? 200 : 1000);

# two upstreams that say who they are and what they were asked
my @port = (free_port(), free_port());

nginx_start('up', join('', map { <<"END" } 0, 1));
server {
    listen 127.0.0.1:$port[$_];
    location / { return 200 "$_ \$http_host \$uri"; }
}
END

# generation g: the service's path names it, its port, the route's
# preserve_host and the route's own prefix follow from it
sub document
{
    my ($g) = @_;

    return {
        _format_version => '3.0',
        services => [ {
            name => "s$g", host => $g % 3 == 0 ? 'localhost' : '127.0.0.1',
            port => $port[$g % 2] + 0, path => "/$g",
            routes => [
                { name => "r$g", paths => [ $g % 5 == 0 ? '~/x\b' : '/x' ],
                  preserve_host => $g % 4 < 2 ? JSON::PP::true()
                                              : JSON::PP::false() },
                map { { name => "pad$_", paths => ["/pad/$_"],
                        hosts => ["h$_.test"] } } 1 .. 20
            ]
        } ]
    };
}

# what is wrong with an answer that began when `floor` was acknowledged
sub wrong
{
    my ($a, $floor) = @_;

    return "status " . $a->status . ' ' . substr($a->body, 0, 200)
        if $a->status != 200;

    my ($up, $host, $g) = $a->body =~ m{^(\d) (\S+) /(\d+)/y$}
        or return 'body ' . $a->body;

    return "generation $g after $floor" if $g < $floor;
    return "generation $g on upstream $up" if $up != $g % 2;

    my $kept = $host eq 'client.test' ? 1 : 0;
    return "generation $g with Host $host" if $kept != ($g % 4 < 2 ? 1 : 0);

    return;
}

my $node = node_start(workers => 2, config => document(0));

# the last acknowledged generation, in a file that the clients read
my $acked = temp_dir() . '/acked';
my $stop = temp_dir() . '/stop';
open(my $ack, '+>', $acked) or die;
syswrite($ack, sprintf('%-10d', 0));

sub acknowledge
{
    sysseek($ack, 0, 0);
    syswrite($ack, sprintf('%-10d', $_[0]));
}

my @client;

for my $n (1 .. $clients) {
    my $out = temp_dir() . "/client$n";

    push @client, { out => $out, pid => spawn(sub {
        my ($done, @bad) = (0);
        my $c = KongHttp->connect($node->{proxy});

        open(my $in, '<', $acked);

        while (!-e $stop) {
            # some on a new connection, most on a kept one
            $c = KongHttp->connect($node->{proxy}) if $done % 50 == 49;

            sysseek($in, 0, 0);
            sysread($in, my $floor, 10);

            my $bad = wrong($c->request('/x/y', host => 'client.test'),
                            $floor + 0);

            $done++;
            if (defined $bad) {
                push @bad, $bad;
                last if @bad > 20;
                $c = KongHttp->connect($node->{proxy});
            }
        }

        spit($out, "$done\n" . join("\n", @bad));
    }) };
}

my $wrk = load_start_pad();
my ($refused, $slowest) = (0, 0);

for my $g (1 .. 200) {
    my $start = now();
    my $a = $node->post_config(document($g));
    my $took = now() - $start;

    $slowest = $took if $took > $slowest;

    if ($a->status == 201) {
        acknowledge($g);

    } else {
        diag("configuration $g: " . $a->status . ' ' . $a->body)
            if $refused++ < 3;
    }
}

spit($stop, '');

my $total = 0;

for my $c (@client) {
    wait_until(20, sub { -e $c->{out} });
    my ($done, @bad) = split(/\n/, slurp($c->{out}) || '0');

    $total += $done;
    is(scalar @bad, 0, "a client's $done requests") or diag(join("\n", @bad));
}

is($refused, 0, '200 configurations are taken');
cmp_ok($total, '>', 500, "$total checked requests");
note(sprintf('slowest publish: %.0f ms', $slowest * 1000));

my $r = KongLoad::load_wait($wrk);
is($r->{failed} + $r->{connect} + $r->{read} + $r->{write} + $r->{timeout},
   0, 'requests of wrk that failed') or diag($r->{text});
cmp_ok($r->{requests}, '>', 1000, "$r->{requests} requests of wrk");

# memory: after 200 all pools are as large as they get
sub memory
{
    $node->get('/x/y') for 1 .. 40;
    nap(0.5);

    return map { $_ => rss_kb($_) } $node->worker_pids, $node->controld;
}

sub publish
{
    my ($count) = @_;

    for my $g (1 .. $count) {
        my $a = $node->post_config(document(1000 + $g));
        die $a->status . ' ' . $a->body if $a->status != 201;
        $node->get('/x/y', host => 'client.test') if $g % 10 == 0;
    }
}

publish(100);
my %before = memory();
publish($more);
my %after = memory();

for my $pid (sort keys %before) {
    my $what = $pid == $node->controld ? 'controld' : 'a worker';

    if (!defined $after{$pid}) {
        fail("$what is gone");
        next;
    }

    my $growth = 100 * ($after{$pid} / $before{$pid} - 1);

  SKIP: {
        skip('sanitizers keep freed memory', 1) if sanitized();
        cmp_ok($growth, '<', 5, sprintf(
            '%s: %d kB, after %d more %d kB (%+.1f %%)', $what,
            $before{$pid}, $more, $after{$pid}, $growth));
    }
}

# history has a length
my @segments = glob("$node->{prefix}/snapshots/*.config");
cmp_ok(scalar @segments, '<', 100, scalar(@segments) . ' segments kept');

finish();


sub load_start_pad
{
    require KongLoad;

    return KongLoad::load_start("http://127.0.0.1:$node->{proxy}/pad/7/z",
        seconds => 4, connections => 8, headers => { Host => 'h7.test' });
}
