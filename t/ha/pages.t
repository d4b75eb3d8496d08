# Files of pages: a generation that is some pages over a whole segment serves
# as that segment with its changes would; whatever is wrong with the file, or
# with what lies beneath it, is refused in a sentence.

use strict;
use warnings;

use File::Copy ();
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $PAGE = 4096;

# n routes that answer with a message; those of `changed` with another one
sub document
{
    my ($n, @changed) = @_;
    my %changed = map { $_ => 1 } @changed;

    return {
        _format_version => '3.0',
        routes => [ map { {
            id => sprintf('00000000-0000-4000-8000-%012d', $_),
            name => sprintf('r%04d', $_), paths => [ sprintf('/%04d', $_) ],
            plugins => [ {
                id => sprintf('00000000-0000-4000-9000-%012d', $_),
                name => 'request-termination',
                config => { status_code => 200, message =>
                    sprintf('%s%04d', $changed{$_} ? 'new' : 'old', $_) }
            } ]
        } } 1 .. $n ]
    };
}

# what a daemon writes first is a whole segment
sub whole
{
    my (@document) = @_;
    my $node = node_start(workers => 1, config => document(@document));
    my $dir = "$node->{prefix}/snapshots";
    my ($g) = (slurp("$dir/current") || '') =~ /^(\d+)/;
    my $file = temp_dir() . '/whole' . $node->{n};

    File::Copy::copy("$dir/$g.config", $file) or die "$dir/$g.config: $!";
    ok($node->stop, 'a whole segment of ' . (-s $file) . ' bytes');

    return $file;
}

my @changed = (1, 150, 300, 301, 590);
my $few = whole(600, @changed);
my $more = whole(900, @changed);

my $node = node_start(workers => 2, config => document(600));
my $dir = "$node->{prefix}/snapshots";
my $socket = "$node->{prefix}/sockets/control.sock";
my ($current, $endpoints)
    = (slurp("$dir/current") || '') =~ /^(\d+) (\d+)/;
my $next = $current + 1000;
my ($mode, $uid, $gid) = (stat("$dir/$current.config"))[2, 4, 5];

# the test publishes in the daemon's place
kill('TERM', $node->controld);
ok(wait_until(10, sub { !-e "$node->{prefix}/sockets/admin.sock" }),
   'the daemon has gone');


sub tool
{
    my ($rc, $out, $err) = run({}, build() . '/segment_tool', @_);

    die "segment_tool @_: $out$err" if $rc != 0;
}

sub ours
{
    my ($file) = @_;

    chmod($mode & 07777, $file);
    chown($uid, $gid, $file);
}

# a whole file under a number of its own
sub put
{
    my ($from, @size) = @_;
    my $g = $next++;

    File::Copy::copy($from, "$dir/$g.config") or die "$from: $!";
    tool('seal', "$dir/$g.config", $g, @size);
    ours("$dir/$g.config");

    return $g;
}

# the same as pages over this generation
sub pages
{
    my ($from, $base, @every) = @_;
    my $g = $next++;
    my $file = temp_dir() . '/pages';

    File::Copy::copy($from, $file) or die "$from: $!";
    tool('seal', $file, $g);
    tool('pages', "$dir/$base.config", $file, "$dir/$g.config", @every);
    unlink($file);
    ours("$dir/$g.config");

    return $g;
}

sub publish
{
    my ($g) = @_;

    return http($socket, "/publish?config=$g&endpoints=$endpoints",
                method => 'POST', body => '');
}

# wrong answers of n routes: of the changed ones, those beside them and some
# more, on connections of their own and so on every worker
sub wrong
{
    my ($n, @new) = @_;
    my %new = map { $_ => 1 } @new;
    my @wrong;

    for my $i (grep { $_ % 20 == 0 || $_ > $n - 2 || $new{$_}
                      || $new{$_ - 1} || $new{$_ + 1} } 1 .. $n + 1)
    {
        my $a = $node->get(sprintf('/%04d', $i));
        my $want = sprintf('%s%04d', $new{$i} ? 'new' : 'old', $i);
        my $is = $a->status == 200 ? $a->json->{message} : $a->status;

        push @wrong, "$i: $is" if $is ne ($i > $n ? 404 : $want);
    }

    return join(', ', @wrong > 5 ? @wrong[0 .. 4] : @wrong);
}

sub mapped
{
    my ($pid, $g) = @_;

    return scalar(() = slurp("/proc/$pid/maps") =~ m{/$g\.config$}mg);
}


# 1: what they serve

is(wrong(600), '', 'the base is served');
cmp_ok(-s $few, '>', 16 * $PAGE, 'of many pages');

my $g = pages($few, $current);
my $size = -s "$dir/$g.config";
cmp_ok($size, '<', (-s $few) / 2, "a few pages: $size bytes");
is(publish($g)->status, 200, 'are published');
is(wrong(600, @changed), '', 'the changes are served, the rest is');

for my $pid ($node->worker_pids) {
    ok(wait_until(10, sub { mapped($pid, $g) }), 'a worker maps the pages');
    cmp_ok(mapped($pid, $g), '>', 1, 'in runs');
    ok(mapped($pid, $current), 'and what lies beneath');
}

my $grown = pages($more, $current);
is(publish($grown)->status, 200, 'pages behind the end of the base');
is(wrong(900, @changed), '', 'are served');

my $large = put($more);
is(publish($large)->status, 200, 'a whole one');
is(wrong(900, @changed), '', 'is served');

$g = pages($few, $large);
is(publish($g)->status, 200, 'pages of an image that is shorter');
is(wrong(600, @changed), '', 'are served');

is(publish($current)->status, 200, 'back to the base');
is(wrong(600), '', 'which is as it was');
ok(wait_until(10, sub { !grep { mapped($_, $g) } $node->worker_pids }),
   'what is not served is not mapped');

# 2: more of them than a worker maps: the image is a copy

my $base = put($few, 2 * 17000 * $PAGE);
File::Copy::copy("$dir/$base.config", temp_dir() . '/large') or die;
$g = pages(temp_dir() . '/large', $base, 2);

is(publish($g)->status, 200, 'pages in more runs than a worker maps');
is(wrong(600, @changed), '', 'are served');

for my $pid ($node->worker_pids) {
    ok(wait_until(10, sub {
        slurp("/proc/$pid/maps") !~ m{/(?:$current|$base|$g)\.config$}m;
    }), 'from a copy');
}

is(publish($current)->status, 200, 'back to the base');
ok(wait_until(10, sub {
    !grep { !mapped($_, $current) } $node->worker_pids;
}), 'which is mapped');

unlink("$dir/$_.config") for $base, $g;
unlink(temp_dir() . '/large');

# 3: what can be wrong

my $good = slurp("$dir/" . pages($few, $current) . '.config');
my ($n) = unpack('x40 V', $good);
my $list = 56;
my $first = length($good) - $n * $PAGE;
cmp_ok($n, '>', 3, "$n pages");

# bytes at a place, as a number of so many bytes
sub with
{
    my ($at, $template, @values) = @_;

    return sub {
        my $b = $_[0];
        my $bytes = pack($template, @values);
        substr($b, $at, length $bytes) = $bytes;
        return $b;
    };
}

my $whole = qr/^the segment is damaged: /;
my $under = qr/^the whole segment beneath the file of pages /;

# name, what makes it, whether head and list are sealed again, the sentence
my @damage = (
    [ 'a byte of a page', with($first + 100, 'C', 0xa5), 0,
      qr/$whole|version|not a segment/ ],
    [ 'a byte of the last page', with(length($good) - $PAGE + 8, 'C', 0xa5),
      0, qr/$whole/ ],
    [ 'a byte of the head', with(33, 'C', 0xa5), 0, qr/$whole/ ],
    [ 'a byte of the list', with($list + 4, 'C', 0xa5), 0,
      qr/${whole}its checksum/ ],
    [ 'half of it', sub { substr($_[0], 0, length($_[0]) / 2) }, 0,
      qr/truncated/ ],
    [ 'its head alone', sub { substr($_[0], 0, 110) }, 0, qr/truncated/ ],
    [ 'a few bytes', sub { substr($_[0], 0, 20) }, 0, qr/too short/ ],
    [ 'a page too many', sub { $_[0] . "\0" x $PAGE }, 0, qr/$whole/ ],
    [ 'another version', with(8, 'V', 999), 1, qr/version/ ],
    [ 'another kind', with(12, 'V', 2), 1, qr/kind/ ],
    [ 'no pages', with(40, 'V', 0), 1, qr/$whole/ ],
    [ 'all pages there could be', with(40, 'V', 0xffffffff), 0, qr/$whole/ ],
    [ 'an image of nothing', with(32, 'Q<', 0), 1, qr/$whole/ ],
    [ 'an image of everything', with(32, 'Q<', ~0), 1, qr/$whole/ ],
    [ 'pages that it does not have', with(32, 'Q<', 1 << 30), 1, qr/$whole/ ],
    [ 'an image that is cut', with(32, 'Q<', 3 * $PAGE), 1, qr/$whole/ ],
    [ 'a page twice', with($list + 4, 'V', 0), 1, qr/$whole/ ],
    [ 'a page behind the end', with($list + 4 * ($n - 1), 'V', 99999), 1,
      qr/$whole/ ],
    [ 'without the first page', with($list, 'V', 1), 1, qr/$whole/ ],
    [ 'pages in other places', with($list + 4, 'V', unpack('V',
      substr($good, $list + 4, 4)) + 1), 1, qr/$whole/ ],
    [ 'another base', with(20, 'V', $large), 0, qr/$under|$whole/, ],
    [ 'another base, sealed', with(20, 'V', $large) , 1, qr/$under/ ],
    [ 'a base of pages', with(20, 'V', $grown), 1, qr/$under/ ],
    [ 'no base', with(20, 'V', 77777777), 1, qr/$under/ ],
    [ 'base 0', with(20, 'V', 0), 1, qr/$under/ ],
    [ 'a base that has changed', with(24, 'Q<', 12345), 1, qr/$under/ ],
);

for my $case (@damage) {
    my ($name, $make, $sealed, $says) = @$case;
    my $bad = $next++;
    my $bytes = $make->($good);
    my $file = "$dir/$bad.config";

    # sealed for its number, and so what is wrong is not that
    spit($file, $good);
    tool('seal', $file, $bad);
    my $mine = slurp($file);
    spit($file, $make->($mine));
    tool('seal', $file, $bad) if $sealed;
    ours($file);

    my $a = publish($bad);
    is($a->status, 422, "$name: refused");
    like($a->json->{message} || '', $says, "$name: why");
    unlink($file);
}

# a number that is another file's
spit("$dir/" . ++$next . '.config', $good);
ours("$dir/$next.config");
my $a = publish($next);
is($a->status, 422, 'the number of another file: refused');
is($a->json->{message},
   'the file holds another generation than its name', 'why');
unlink("$dir/$next.config");
$next++;

is(wrong(600), '', 'nothing has changed');

# what lies beneath is cut
$base = put($few);
$g = pages($more, $base);
truncate("$dir/$base.config", 2 * $PAGE);
$a = publish($g);
is($a->status, 422, 'a base that is cut: refused');
like($a->json->{message}, $under, 'why');
unlink("$dir/$base.config", "$dir/$g.config");

# 4: nginx starts on it

my $last = pages($few, $current);
is(publish($last)->status, 200, 'pages are published');

sub start_on
{
    my ($current_line) = @_;

    kill('TERM', $node->master);
    ok($node->wait_gone, 'nginx stops');

    spit("$dir/current", "$current_line $endpoints\n");
    ours("$dir/current");
    unlink("$node->{prefix}/logs/error.log");

    my ($rc, $out, $err) = run({ env => $node->{env} }, nginx_bin(), '-p',
                               $node->{prefix}, '-c', 'nginx.conf');
    is($rc, 0, 'nginx starts') or diag($out . $err);
    $node->{started} = 1;
}

sub reasons
{
    my ($g) = @_;
    my %lines = map { $_ => 1 } map { s/^\S+ \S+ //r }
                grep { /\/$g\.config" is refused/ }
                split(/\n/, slurp("$node->{prefix}/logs/error.log"));

    return keys %lines;
}

start_on($last);
is($node->wait_status('/0001', 200)->status, 200, 'on pages');
is(wrong(600, @changed), '', 'it serves the changes');

# newer ones that are not whole, down to one that is
my $lost = pages($more, $large);
unlink("$dir/$large.config");
start_on($lost);
is($node->wait_status('/0001', 200)->status, 200, 'without their base');
is(wrong(600, @changed), '', 'an older generation serves');
my @lines = reasons($lost);
is(scalar @lines, 1, 'one line says why');
like($lines[0], qr/beneath the file of pages/, 'clearly');

my @old = $node->worker_pids;
kill('HUP', $node->master);
ok(wait_until(20, sub { !grep { alive($_) } @old }), 'a reload');
is(wrong(600, @changed), '', 'changes nothing');

kill('TERM', $node->master);
ok($node->wait_gone, 'nginx stops');

finish();
