# Services by name: resolved by the daemon, again when the answer changes;
# a name that does not resolve is a 503 and no reason to refuse the rest.

use strict;
use warnings;

use KongEcho;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $node = node_start(
    hosts => "127.0.0.1 up.test alias.test\n::1 six.test\n",
    config => {
        _format_version => '3.0',
        services => [ map { {
            name => $_, host => $_, port => $upstream + 0, retries => 0,
            routes => [ { name => $_, paths => ["/$_"] } ]
        } } qw(up.test alias.test UP.test none.invalid) ]
    });

is($node->get('/up.test')->status, 200, 'a name');
is($node->get('/alias.test')->status, 200, 'a second name of the address');
is($node->get('/UP.test')->status, 200, 'in any case');
is($node->get('/up.test')->up('host'), "up.test:$upstream",
   'Host is the name');

my $a = $node->get('/none.invalid');
is($a->status, 503, 'a name that is none');
is($a->json->{message}, 'name resolution failed', 'the message');

# a new configuration and its new name arrive together
my $bad = 0;

for my $n (1 .. 20) {
    my $name = $n % 2 ? 'localhost' : 'alias.test';

    $a = $node->post_config({
        _format_version => '3.0',
        services => [ {
            name => 's', host => $name, port => $upstream + 0,
            path => "/$n", routes => [ { name => 'r', paths => ['/n'] } ]
        } ]
    });
    $bad++ if $a->status != 201
              || ($node->get('/n')->up_uri || '') ne "/$n";
}

is($bad, 0, 'names of new configurations are known with them');

finish();
