# Many small changes, one upon the other, of a file and of a database: a node
# that reads everything anew, with nothing kept, answers every request alike.

use strict;
use warnings;

use Digest::MD5 ();
use KongHttp;
use KongNode;
use KongPg;
use KongTest;
use Test::More;

my $STEPS = $ENV{KONG_TEST_LONG} ? 400 : 60;

srand($ENV{KONG_TEST_SEED} || 7);

my $port = free_port();

nginx_start('up', <<"END");
server {
    listen 127.0.0.1:$port;
    set \$who "\$http_x_consumer_username \$http_x_consumer_groups";
    location / {
        return 200 "\$uri \$http_host \$who";
    }
}
END

my @hosts = qw(a.test b.test *.test c.*);
my @paths = qw(/ /a /ab /abc /b /b/c ~/a[0-9]+ ~/b/(c|d) /x /y /z);
my @kinds = qw(services routes consumers plugins keyauth_credentials acls);

# where the Admin API has them
my %api = (keyauth_credentials => 'key-auths');

# kind -> id -> row
my %row;

sub pick { return $_[int(rand(@_))] }

sub one { return pick(undef, sort keys %{ $row{$_[0]} }) }

sub ref_to { return defined $_[0] ? { id => $_[0] } : undef }

sub id_of
{
    return sprintf('%08x-0000-4000-8000-%012d', $_[0] * 2654435761 % 2**32,
                   $_[0]);
}

sub plugin
{
    my $route = one('routes');

    return pick(
        { name => 'rate-limiting', route => ref_to($route),
          consumer => ref_to(one('consumers')),
          config => { minute => 10000 + int(rand(99)), policy => 'local' } },
        { name => 'key-auth', route => ref_to($route),
          service => ref_to(defined $route ? undef : one('services')) },
        { name => 'response-transformer', route => ref_to($route),
          service => ref_to(one('services')),
          config => { add => { headers => ['X-Set:' . int(rand(99))] } } });
}

my %make = (
    services => sub {
        return { host => '127.0.0.1', port => $port + 0,
                 path => '/s' . int(rand(9)) };
    },
    routes => sub {
        return { service => ref_to(one('services')
                                   || (sort keys %{ $row{services} })[0]),
                 paths => [pick(@paths)],
                 rand(2) < 1 ? (hosts => [pick(@hosts)]) : (),
                 rand(4) < 1 ? (methods => ['POST']) : (),
                 regex_priority => int(rand(3)) };
    },
    consumers => sub { return { username => 'c' . int(rand(12)) } },
    plugins => \&plugin,
    keyauth_credentials => sub {
        return { key => 'k' . int(rand(8)),
                 consumer => ref_to(pick(sort keys %{ $row{consumers} })) };
    },
    acls => sub {
        return { group => 'g' . int(rand(5)),
                 consumer => ref_to(pick(sort keys %{ $row{consumers} })) };
    }
);

# what may stand once only
sub key_of
{
    my ($kind, $r) = @_;

    return $r->{username} if $kind eq 'consumers';
    return $r->{key} if $kind eq 'keyauth_credentials';
    return "$r->{group} $r->{consumer}{id}" if $kind eq 'acls';
    return join(' ', $r->{name}, map { $r->{$_} ? $r->{$_}{id} : '-' }
                qw(route service consumer)) if $kind eq 'plugins';
    return;
}

# with what refers to it; the calls, in their order
sub drop
{
    my ($kind, $id) = @_;
    my (@calls, $field);

    ($field = $kind) =~ s/s$//;

    for my $k (reverse @kinds) {
        for my $other (sort keys %{ $row{$k} }) {
            my $to = $row{$k}{$other}{$field};
            push @calls, drop($k, $other) if $to && $to->{id} eq $id;
        }
    }

    delete $row{$kind}{$id};

    return (@calls, [DELETE => $kind, $id]);
}

sub change
{
    my $kind = pick(@kinds, 'routes', 'routes', 'plugins');
    my $id = id_of(1 + int(rand(24)));

    return () if $kind eq 'services' && !$row{services}{$id} && rand(2) < 1;

    if ($row{$kind}{$id} && rand(3) < 1
        && !($kind eq 'services' && keys %{ $row{services} } == 1))
    {
        return drop($kind, $id);
    }

    return () if $kind =~ /^(?:acls|key)/ && !%{ $row{consumers} };

    my $r = $make{$kind}->();
    my $key = key_of($kind, $r);

    delete $r->{$_} for grep { !defined $r->{$_} } keys %$r;

    return () if defined $key && grep {
        $_ ne $id && key_of($kind, $row{$kind}{$_}) eq $key
    } keys %{ $row{$kind} };

    $row{$kind}{$id} = $r;

    return [PUT => $kind, $id, $r];
}

sub document
{
    return { _format_version => '3.0', map {
        my $k = $_;
        $k => [ map { { id => $_, %{ $row{$k}{$_} } } }
                sort keys %{ $row{$k} } ]
    } @kinds };
}

sub answers
{
    my ($node) = @_;
    my @all;

    for my $path (qw(/ /a /ab/1 /abc /a12 /b /b/c /b/d/e /x /y/1 /z /q)) {
        for my $host (qw(a.test b.test x.test c.y other)) {
            for my $key ('', 'k' . (length($path . $host) % 8)) {
                my $a = $node->get($path, host => $host,
                    method => length($host) % 3 ? 'GET' : 'POST',
                    headers => { $key ? (apikey => $key) : () });

                push @all, join(' ', $path, $host, $key, $a->status,
                    map({ $a->header($_) // '-' }
                        qw(X-Set X-RateLimit-Limit-Minute)), $a->body);
            }
        }
    }

    s/"request_id":\s*"\w+"/-/ for @all;

    return \@all;
}

sub first_row
{
    %row = map { $_ => {} } @kinds;
    $row{services}{ id_of(1) } = $make{services}->();
}

# nothing of what was made before is left
sub anew
{
    my ($node) = @_;

    $node->stop;
    unlink(glob("$node->{prefix}/snapshots/*"));
    $node->start;
    wait_until(10, sub { $node->status->{configuration}{generation} });
}

sub check
{
    my ($node, $what) = @_;
    my $before = answers($node);
    my %seen = map { (split(/ /))[3] => 1 } @$before;

    note("$what: " . join(' ', sort keys %seen));
    anew($node);
    is_deeply(answers($node), $before, $what);
}

# --- a file

first_row();

my $node = node_start(config => document(), workers => 1);

for my $round (1 .. 2) {
    for (1 .. $STEPS) {
        my @calls = change() or next;
        my $text = json_encode(document());

        $node->write_config($text);
        wait_until(10, sub {
            $node->status->{configuration_hash} eq Digest::MD5::md5_hex($text);
        }) or diag("step $_ is not served: " . $node->logs), last;
    }

    check($node, "file, round $round: all read anew is the same");
}

# --- a database

SKIP: {
    skip('no PostgreSQL server here', 3) if !pg_found();

    my $pg = pg_new();
    my ($rc, $out, $err) = run({ env => { $pg->env }, timeout => 60 },
        build() . '/kong', 'migrations', 'bootstrap', '-q');
    my $other = node_start(env => { $pg->env }, workers => 1);
    my @bad;

    first_row();
    my @calls = map { [PUT => 'services', $_, $row{services}{$_}] }
                keys %{ $row{services} };

    for my $round (1 .. 2) {
        for (1 .. $STEPS) {
            for my $c (@calls) {
                my ($method, $kind, $id, $body) = @$c;
                my $a = $other->admin(
                    '/' . ($api{$kind} || $kind) . "/$id?wait=true",
                    method => $method,
                    headers => { 'Content-Type' => 'application/json' },
                    $body ? (body => json_encode($body)) : ());

                push @bad, "$method $kind " . $a->status . $a->body
                    if $a->status !~ /^20[0-4]$/;
            }

            @calls = change();
        }

        check($other, "database, round $round: all read anew is the same");
    }

    is("@bad[0 .. ($#bad > 2 ? 2 : $#bad)]", '', 'every write was taken');
}

finish();
