package KongBalancer;

# Configurations of upstreams, and where their requests went.  A service, an
# upstream and a route "/name" for each name, and a route "/preserve/name"
# that keeps the client's Host.

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();

our @EXPORT = qw(balancer_config balancer_spread balancer_at);


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

1;
