# The declarative file changes on disk: written in place, renamed over, a
# ConfigMap's symbolic links.  A good one is live by itself; a bad, half
# written or deleted one changes nothing and is loud.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();

my ($node, $file);

sub live { return $node->get('/x')->up_uri || '' }

sub becomes
{
    my ($path, $what) = @_;

    ok(wait_until(5, sub { live() eq $path }), $what)
        or diag(live() . $node->logs);
}

sub write_in_place
{
    my ($text) = @_;

    open(my $fh, '>', $file) or die;
    print $fh $text;
    close($fh);
}

$node = node_start(config => echo_yaml($upstream, 'start'));
$file = $node->{file};
is(live(), '/start', 'the file at the start');

write_in_place(echo_yaml($upstream, 'written'));
becomes('/written', 'written in place');

$node->write_config(echo_yaml($upstream, 'renamed'));
becomes('/renamed', 'renamed over');

# slowly, as some editors and copies do
open(my $slow, '>', $file) or die;
$slow->autoflush(1);
my %seen;
for my $line (split(/^/, echo_yaml($upstream, 'slow'))) {
    print $slow $line;
    nap(0.03);
    $seen{live()}++;
}
close($slow);
becomes('/slow', 'written line by line');
is(join(' ', sort grep { $_ ne '/slow' } keys %seen), '/renamed',
   'what is half written is never served');

# a bad one
$node->write_config("_format_version: \"3.0\"\nservices:\n- name: x\n"
                    . "- port: -1\n  host: h\n");
ok(wait_until(5, sub { $node->error_log =~ /required field missing/ }),
   'a bad file: the log says what is wrong');
ok(wait_until(5, sub {
    $node->error_log =~ /value should be between 0 and 65535/
}), 'all that is wrong');
is(live(), '/slow', 'nothing has changed');

my $a = $node->admin('/status');
like($a->body =~ s{\\/}{/}gr, qr/required field missing/,
     '/status says so') or diag($a->body);
my ($rc, $out, $err) = $node->kong('health', '-p', $node->{prefix});
like($out . $err, qr/required field missing|configuration/,
     'kong health says so') or diag($out . $err);

$node->write_config(echo_yaml($upstream, 'repaired'));
becomes('/repaired', 'the repaired file');
unlike($node->admin('/status')->body, qr/required field missing/,
       '/status is content again');

# deleted, and there again
unlink($file);
nap(1);
is(live(), '/repaired', 'a deleted file changes nothing');
$node->write_config(echo_yaml($upstream, 'back'));
becomes('/back', 'there again');

# empty
write_in_place('');
nap(1);
is(live(), '/back', 'an empty file changes nothing');
$node->write_config(echo_yaml($upstream, 'full'));
becomes('/full', 'and full again');

# many changes at once: the last one is live
for my $n (1 .. 100) {
    $node->write_config(echo_yaml($upstream, "n$n"));
}
becomes('/n100', 'the last of 100 changes');

# a POST, then the file again
is($node->post_config(echo_yaml($upstream, 'posted'))->status, 201,
   'POST /config');
is(live(), '/posted', 'is live');
$node->write_config(echo_yaml($upstream, 'file'));
becomes('/file', 'and a changed file replaces it');

# HUP reads it, as any daemon does
kill('HUP', $node->controld);
nap(0.5);
is(live(), '/file', 'HUP');
ok(alive($node->controld), 'the daemon lives');

# a ConfigMap: kong.yml -> ..data/kong.yml, ..data -> a folder
my $map = temp_dir('map');
mkdir("$map/..one");
spit("$map/..one/kong.yml", echo_yaml($upstream, 'map-one'));
symlink('..one', "$map/..data");
symlink('..data/kong.yml', "$map/kong.yml");

$node = node_start(env => { KONG_DECLARATIVE_CONFIG => "$map/kong.yml" });
is(live(), '/map-one', 'a ConfigMap');

mkdir("$map/..two");
spit("$map/..two/kong.yml", echo_yaml($upstream, 'map-two'));
symlink('..two', "$map/..data_tmp");
rename("$map/..data_tmp", "$map/..data");
unlink("$map/..one/kong.yml");
rmdir("$map/..one");
becomes('/map-two', 'its symbolic link swapped');

# the text in a setting
$node = node_start(env => {
    KONG_DECLARATIVE_CONFIG_STRING => echo_yaml($upstream, 'string')
});
is(live(), '/string', 'declarative_config_string');

finish();
