# rate-limiting, policy local: exact with 4 workers and 64 connections, over
# more than 50 windows whose edges are crossed at full speed.  Each number of
# remaining requests is told once a window, no more and no less.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $ROUTES = 5;
my $SECONDS = 10.7;
my %limit = map { $_ => 12 + $_ } 0 .. $ROUTES - 1;
my $upstream = echo_start();
my $node = node_start(workers => 4, config => {
    _format_version => '3.0', services => [ {
        name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [ map { {
            name => "r$_", paths => ["/r$_"], plugins => [ {
                name => 'rate-limiting', config => {
                    second => $limit{$_}, year => 1e9 } } ] }
        } keys %limit ] } ]
});

# from just behind an edge to the middle of a window
nap(1.02 - (now() - int(now())));
my $start = int(now());
my @results;

for my $p (1 .. 8) {
    my $file = temp_dir() . "/storm$p";
    push @results, $file;

    spawn(sub {
        my @c = map { KongHttp->connect($node->{proxy}) } 1 .. 8;
        my (%seen, $n);

        while (now() < $start + $SECONDS) {
            my $route = $n++ % $ROUTES;

            # a connection serves a thousand requests
            @c = map { KongHttp->connect($node->{proxy}) } 1 .. 8
                if $n % 900 == 0;

            $_->send("GET /r$route HTTP/1.1\r\nHost: a\r\n"
                     . "X-Echo-Size: 1\r\n\r\n") for @c;

            for my $answer (map { $_->answer } @c) {
                my $left = $answer->header('x-ratelimit-remaining-second');

                $seen{ "$route " . $answer->status
                       . ($answer->status == 200 ? " $left" : ' 0') }++;
            }
        }

        spit("$file.part", join("\n", map { "$_ $seen{$_}" } keys %seen));
        rename("$file.part", $file);
    });
}

ok(wait_until(60, sub { !grep { !-e $_ } @results }), '64 connections');

my %all;
my $windows = int($start + $SECONDS) - $start + 1;

for my $text (map { slurp($_) } @results) {
    $all{"$1 $2 $3"} += $4 while $text =~ /^(\d+) (\d+) (\d+) (\d+)$/mg;
}

for my $route (sort keys %limit) {
    my @left = map { $all{"$route 200 $_"} || 0 } 0 .. $limit{$route} - 1;

    is("@left", join(' ', ($windows) x $limit{$route}),
       "route $route: $limit{$route} pass in each of $windows windows");
    cmp_ok($all{"$route 429 0"}, '>', 0, 'and others do not');
}

is(join(' ', grep { !/ (?:200|429) / } keys %all), '',
   'nothing else is answered');

finish();
