package KongBalancer;

# Configurations of upstreams, and where their requests went.  A service, an
# upstream and a route "/name" for each name, and a route "/preserve/name"
# that keeps the client's Host.

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET ();
use JSON::PP ();
use KongHttp;

our @EXPORT = qw(balancer_config balancer_spread balancer_at balancer_health
                 balancer_targets balancer_hold balancer_release);


# balancer_config(name => { upstream's fields, targets => [[target, weight]],
# service => {}, route => {} }, ...)
sub balancer_config
{
    my (%all) = @_;
    my (@services, @upstreams);

    for my $name (sort keys %all) {
        my %u = %{ $all{$name} };
        my $targets = delete $u{targets};
        my $service = delete $u{service} || {};
        my $route = delete $u{route} || {};

        push @upstreams, {
            name => $name, %u,
            targets => [ map { {
                target => $_->[0],
                defined $_->[1] ? (weight => $_->[1]) : ()
            } } @$targets ]
        };
        push @services, {
            name => $name, host => $name, port => 1, %$service,
            routes => [
                { name => $name, paths => ["/$name"], %$route },
                { name => "$name-preserve", paths => ["/preserve/$name"],
                  preserve_host => JSON::PP::true() }
            ]
        };
    }

    return {
        _format_version => '3.0', services => \@services,
        upstreams => \@upstreams
    };
}

# the port of the echo that answered, or its status
sub balancer_at
{
    my ($answer) = @_;
    my $host = $answer->up('host');

    return $answer->status if !defined $host;

    return $host =~ /:(\d+)$/ ? $1 : $host;
}

# how many of n requests went to which port
sub balancer_spread
{
    my ($node, $path, $n, %o) = @_;
    my %seen;

    for my $i (1 .. $n) {
        my %with = ref $o{each} ? $o{each}->($i) : ();
        my $to = delete $with{path};

        $seen{balancer_at($node->get(defined $to ? $to : $path, %with))}++;
    }

    return %seen;
}

# POST to the control socket's /health; the status
sub balancer_health
{
    my ($node, %o) = @_;
    my $query = join('&', map { "$_=$o{$_}" } sort keys %o);

    return http("$node->{prefix}/sockets/control.sock", "/health?$query",
                method => 'POST')->status;
}

# the upstream's targets by their ports
sub balancer_targets
{
    my ($node, $name) = @_;
    my $all = http("$node->{prefix}/sockets/control.sock",
                   "/health?upstream=$name")->json;

    return { map { $_->{address} =~ /(\d+)$/ ? ($1 => $_) : () }
             @{ $all->[0]{addresses} || [] } };
}

# n requests that the targets do not answer for `ms`; connections
sub balancer_hold
{
    my ($node, $path, $n, $ms) = @_;
    my @held;

    for (1 .. $n) {
        my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                    PeerPort => $node->{proxy}, Proto => 'tcp') or die;

        syswrite($s, "GET $path HTTP/1.1\r\nHost: a\r\n"
                     . "X-Echo-Delay: $ms\r\nConnection: close\r\n\r\n");
        push @held, $s;
    }

    return \@held;
}

# waits for their answers
sub balancer_release
{
    my ($held) = @_;

    for my $s (@$held) {
        while (sysread($s, my $bytes, 65536)) { }
        close($s);
    }
}

1;
