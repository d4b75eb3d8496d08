# Changes that come faster than they can be paid for: the daemon stays within
# its share of a CPU, and what was written last is live.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongTest;
use Test::More;
use Time::HiRes qw(time);

use constant { ROUTES => 30000, SECONDS => 4 };

my $upstream = echo_start();
my $routes = join('', map { "  - { name: r$_, paths: [ /p$_ ] }\n" }
                  1 .. ROUTES);

sub text
{
    my ($marker) = @_;

    return "_format_version: '3.0'\nservices:\n- name: s\n"
           . "  host: 127.0.0.1\n  port: $upstream\n  routes:\n"
           . "$routes  - { name: m, paths: [ /marker-$marker ] }\n";
}

sub cpu
{
    my ($pid) = @_;

    open(my $fh, '<', "/proc/$pid/stat") or die;
    my @f = split(' ', (<$fh> =~ /\) (.*)/)[0]);

    return ($f[11] + $f[12]) / 100;
}

my $node = node_start(config => text(0));
my $pid = $node->controld;

ok(wait_until(20, sub { $node->get('/marker-0')->status == 200 }),
   'the file at the start');

$node->write_config(text(1));
ok(wait_until(20, sub { $node->get('/marker-1')->status == 200 }),
   'a change alone');

my ($began, $before, $n) = (time(), cpu($pid), 1);

while (time() - $began < SECONDS) {
    $node->write_config(text(++$n));
    nap(0.02);
}

my ($took, $used) = (time() - $began, cpu($pid) - $before);

# a quarter, what is free at first, and the one under way
cmp_ok($used, '<=', $took * 0.27 + 0.4, "$n changes in $took s");

ok(wait_until(10, sub { $node->get("/marker-$n")->status == 200 }),
   'the last one is live');

done_testing();
