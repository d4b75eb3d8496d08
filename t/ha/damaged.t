# Damaged, truncated, foreign and wrong-version segments on disk: refused
# with one clear line, and an older generation serves; a publish of such a
# file through the control socket changes nothing.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();

my $node = node_start(workers => 2);
my $dir = "$node->{prefix}/snapshots";

for my $g (1 .. 3) {
    is($node->post_config(echo_config($upstream, $g))->status, 201,
       "generation $g");
}
is($node->get('/x')->up_uri, '/3', 'the third serves');

my ($current, $endpoints)
    = (slurp("$dir/current") || '') =~ /^(\d+) (\d+)/;
ok($current, "current is $current");

my $good = slurp("$dir/$current.config");
my @generations = sort { $a <=> $b }
                  map { m{/(\d+)\.config$} } glob("$dir/*.config");
cmp_ok(scalar @generations, '>=', 3, 'older generations are there');

# what can be wrong with it, and what the log must say of it
my %damage = (
    'a flipped byte' => [ sub {
        my $b = $_[0];
        substr($b, length($b) - 20, 1) ^= "\x40";
        return $b;
    }, qr/checksum/i ],
    'a truncated file' => [ sub { substr($_[0], 0, length($_[0]) / 2) },
                            qr/truncated|short|size/i ],
    'a few bytes' => [ sub { substr($_[0], 0, 10) },
                       qr/truncated|short|size/i ],
    'an empty file' => [ sub { '' }, qr/truncated|short|empty|size/i ],
    'a foreign file' => [ sub { "services: []\n" x 100 },
                          qr/foreign|no segment|not a segment|magic/i ],
    'another version' => [ sub {
        my $b = $_[0];
        substr($b, 8, 4) = pack('V', 999);
        return $b;
    }, qr/version/i ],
    'the other kind' => [ sub { slurp("$dir/$endpoints.endpoints") },
                          qr/kind/i ],
);

# 1: the control socket refuses it
my $next = $current + 1000;

for my $name (sort keys %damage) {
    my ($make, $says) = @{ $damage{$name} };

    $next++;
    my $file = "$dir/$next.config";
    my (undef, undef, $uid, $gid) = (stat("$dir/$current.config"))[2 .. 5];

    spit($file, $make->($good));
    chmod((stat("$dir/$current.config"))[2] & 07777, $file);
    chown((stat("$dir/$current.config"))[4, 5], $file);

    my $a = http("$node->{prefix}/sockets/control.sock",
                 "/publish?config=$next&endpoints=$endpoints",
                 method => 'POST', host => 'localhost', body => '');

    is($a->status, 422, "$name: refused");
    like($a->body, $says, "$name: why");
    is($node->get('/x')->up_uri, '/3', "$name: nothing has changed")
        for 1 .. 4;
    unlink($file);
}

is(http("$node->{prefix}/sockets/control.sock",
        "/publish?config=99999&endpoints=$endpoints", method => 'POST',
        host => 'localhost', body => '')->status, 422, 'a file that is not');
is($node->get('/x')->up_uri, '/3', 'nothing has changed');

# 2: nginx started on it takes the newest older one that is whole
ok($node->stop, 'stopped');

for my $name (sort keys %damage) {
    my ($make, $says) = @{ $damage{$name} };
    my $mode = (stat("$dir/$current.config"))[2] & 07777;
    my @owner = (stat(_))[4, 5];

    spit("$dir/$current.config", $make->($good));
    chmod($mode, "$dir/$current.config");
    chown(@owner, "$dir/$current.config");

    # a log of its own for each start
    unlink("$node->{prefix}/logs/error.log");

    my ($rc, $out, $err) = run({ env => $node->{env} }, nginx_bin(), '-p',
                               $node->{prefix}, '-c', 'nginx.conf');
    is($rc, 0, "$name: nginx starts") or diag($out . $err);
    $node->{started} = 1;

    my $a = $node->wait_status('/x', 200);
    is($a->up_uri, '/2', "$name: on the generation before");

    my $log = slurp("$node->{prefix}/logs/error.log");
    my %lines = map { $_ => 1 } map { s/^\S+ \S+ //r }
                grep { /\Q$current.config\E/ } split(/\n/, $log);
    is(scalar keys %lines, 1, "$name: one line in the log")
        or diag($log);
    like((keys %lines)[0] || '', $says, "$name: that says why");

    kill('TERM', $node->master);
    ok($node->wait_gone, "$name: stopped");
}

# all of them damaged: nginx still starts, with nothing to serve
for my $file (glob("$dir/*.config")) {
    my ($mode, @owner) = (stat($file))[2, 4, 5];
    spit($file, 'x');
    chmod($mode & 07777, $file);
    chown(@owner, $file);
}

my ($rc, $out, $err) = run({ env => $node->{env} }, nginx_bin(), '-p',
                           $node->{prefix}, '-c', 'nginx.conf');
is($rc, 0, 'nothing whole is left: nginx starts') or diag($out . $err);
$node->{started} = 1;
is($node->wait_status('/x', 404)->status, 404, 'and answers 404');
kill('TERM', $node->master);
ok($node->wait_gone, 'stopped');

finish();
