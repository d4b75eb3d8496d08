# session: the cookie that remembers, its name and its two timeouts.

use strict;
use warnings;

use KongEcho;
use KongHttp;
use KongNode;
use KongTest;
use Test::More;

my $upstream = echo_start();
my $true = JSON::PP::true();

my %routes = (
    name => { remember_cookie_name => 'keep', cookie_name => 'sid',
              remember_rolling_timeout => 50 },
    rolling => { remember_rolling_timeout => 3 },
    absolute => { remember_absolute_timeout => 3 },
    both => { remember_rolling_timeout => 900,
              remember_absolute_timeout => 1000 },
);

my $node = node_start(config => {
    _format_version => '3.0',
    services => [ { name => 'echo', url => "http://127.0.0.1:$upstream",
        routes => [ map { { name => $_, paths => ["/$_"], plugins => [
            { name => 'session', config => { secret => 'of this test',
                remember => $true, idling_timeout => 1, %{ $routes{$_} } } },
            { name => 'key-auth', config => { anonymous => 'guest' } },
            { name => 'request-termination', consumer => 'guest',
              config => { status_code => 403 } } ] } } sort keys %routes ]
    } ],
    consumers => [ { username => 'guest' },
                   { username => 'alice',
                     keyauth_credentials => [ { key => 'k' } ] } ]
});

# name => [value, attributes]
sub login
{
    my ($path) = @_;
    my $a = $node->get($path, headers => { apikey => 'k' });

    return map { $_->[1] =~ /^([^=]+)=([^;]*)(.*)/ ? ($1 => [$2, $3]) : () }
           grep { lc $_->[0] eq 'set-cookie' } @{ $a->headers };
}

sub with
{
    my ($path, $cookie) = @_;

    return $node->get($path, headers => { Cookie => $cookie });
}

my %c = login('/name');

is(join(' ', sort keys %c), 'keep sid', 'the names of the cookies');
like($c{keep}[1], qr/; Max-Age=50$/, 'as long as it rolls');
is(with('/name', "keep=$c{keep}[0]")->up('x-consumer-username'), 'alice',
   'it remembers');
is(with('/name', "remember=$c{keep}[0]")->status, 403,
   'not under another name');
is(with('/name', "sid=$c{keep}[0]")->status, 403, 'nor as a session');
is(with('/name', "keep=$c{sid}[0]")->status, 403,
   'nor does a session remember');

my $last = substr($c{keep}[0], 50, 1) eq 'A' ? 'B' : 'A';
(my $changed = $c{keep}[0]) =~ s/^(.{50})./$1$last/;
is(with('/name', "keep=$changed")->status, 403, 'a changed one');
is(with('/name', 'keep=' . substr($c{keep}[0], 0, 100))->status, 403, 'a cut');
is(with('/name', 'keep=')->status, 403, 'an empty one');
is(with('/name', 'keep=' . 'A' x 3000)->status, 403, 'a long one');

for my $path ('/rolling', '/absolute') {
    my %k = login($path);
    my $cookie = "remember=$k{remember}[0]";

    is(with($path, $cookie)->status, 200, "$path: in time");
    ok(wait_until(20, sub { with($path, $cookie)->status == 403 }),
       "$path: not for ever, although it is used");
}

my %k = login('/both');
like($k{remember}[1], qr/; Max-Age=900$/, 'the shorter of both');
is(with('/both', "session=$k{session}[0]; remember=$k{remember}[0]")->status,
   200, 'both cookies');
ok(wait_until(20, sub {
    with('/both', "session=$k{session}[0]")->status == 403;
}), 'the session idles');
is(with('/both', "session=$k{session}[0]; remember=$k{remember}[0]")
   ->up('x-consumer-username'), 'alice', 'and is made anew');

finish();
