package KongRoute;

# The routing rules written down a second time, in the plainest way: every
# route is tried against every request.  Random configurations are checked
# against this.  Nothing of it comes from the gateway's code.

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(route_find route_upstream path_normalize);


# the winner for a request: { route, matched => length of the path's match or
# undef, tie => 1 when the rules leave the order open }, or nothing.  Request:
# method, path (normalised), host, port, https, sni, headers { name => [..] }
sub route_find
{
    my ($routes, $req) = @_;
    my ($best, $tie);

    for my $route (@$routes) {
        next if !others_match($route, $req);

        for my $path (@{ $route->{paths} || [undef] }) {
            my $matched = path_match($path, $req->{path});
            next if defined $path && !defined $matched;

            my $c = {
                route => $route, matched => $matched,
                rank => rank($route, $path), id => $route->{id},
                several => @{ $route->{paths} || [] } > 1
            };

            my $order = !$best ? 1 : $c->{rank} <=> $best->{rank}
                                     || $c->{id} cmp $best->{id};

            if ($best && $route != $best->{route}
                && $c->{rank} == $best->{rank}
                && ($c->{several} || $best->{several}))
            {
                $tie = $c->{rank};
            }

            $best = $c if $order > 0;
        }
    }

    return if !$best;

    $best->{tie} = defined $tie && $tie == $best->{rank};

    return $best;
}

sub others_match
{
    my ($r, $req) = @_;

    return 0 if $r->{methods}
                && !grep { $_ eq $req->{method} } @{ $r->{methods} };
    return 0 if $r->{hosts} && !grep { host_match($_, $req) } @{ $r->{hosts} };

    if ($r->{snis} && $req->{https}) {
        return 0 if !grep { $_ eq ($req->{sni} || '') } @{ $r->{snis} };
    }

    for my $name (keys %{ $r->{headers} || {} }) {
        my @sent = map { lc } @{ $req->{headers}{lc $name} || [] };

        return 0 if !grep { header_match($_, @sent) }
                    @{ $r->{headers}{$name} };
    }

    return 1;
}

sub host_match
{
    my ($host, $req) = @_;
    my ($name, $port) = lc($host) =~ /^(.*?)(?::(\d+))?$/;
    my $sent = lc $req->{host};

    return 0 if defined $port && $port != $req->{port};
    return substr($sent, -length $1) eq $1 && length $sent >= length $1
        if $name =~ /^\*(.*)$/;
    return substr($sent, 0, length $1) eq $1 if $name =~ /^(.*)\*$/;

    return $name eq $sent;
}

sub header_match
{
    my ($value, @sent) = @_;

    if ($value =~ /^~\*(.*)$/) {
        my $regex = lc $1;
        return grep { /$regex/ } @sent;
    }

    return grep { $_ eq lc $value } @sent;
}

# how many bytes of the path this rule takes; undef when it does not match
sub path_match
{
    my ($rule, $path) = @_;

    return if !defined $rule;

    if ($rule =~ /^~(.*)$/) {
        return $path =~ /^(?:$1)/ ? $+[0] : undef;
    }

    return index($path, $rule) == 0 ? length $rule : undef;
}

# One number, as Kong 3.9 computes it: 64 bits hold "only plain hosts" (60) and
# "a regex" (51); everything else is shifted as a signed 32-bit number, by its
# place in the 64 bits modulo 32: the kinds of rules (61), the headers (52), the
# regex_priority (19), the length of a prefix (0)
sub rank
{
    my ($r, $path) = @_;
    my $kinds = grep { $r->{$_} } qw(methods hosts paths headers snis);
    my $plain = $r->{hosts} && !grep { /\*/ } @{ $r->{hosts} };
    my $regex = defined $path && $path =~ /^~/;
    my $low = $kinds << 61 - 32 | (keys %{ $r->{headers} || {} }) << 52 - 32;

    $low |= $regex ? ($r->{regex_priority} || 0) << 19
                   : defined $path ? length $path : 0;
    $low &= 0xffffffff;
    $low |= 0xffffffff << 32 if $low & 1 << 31;

    return $low | ($plain ? 1 << 60 : 0) | ($regex ? 1 << 51 : 0);
}


# the path sent upstream
sub route_upstream
{
    my ($base, $path, $strip, $matched) = @_;
    my $rest = $strip && defined $matched ? substr($path, $matched)
                                          : substr($path, 1);

    $base = '/' if !defined $base;

    if ($strip && defined $matched) {
        $rest = '' if $rest eq '.' || $rest eq '..';
        $rest =~ s{^\.\.?/}{};
    }

    my $slash = $base =~ m{/$};

    if ($rest eq '') {
        return $base if $base eq '/';

        if ($slash) {
            return $path =~ m{/$} ? $base : substr($base, 0, -1);
        }

        return length $path > 1 && $path =~ m{/$} ? "$base/" : $base;
    }

    $rest =~ s{^/}{};

    return ($slash ? $base : "$base/") . $rest;
}

# a request's path in normal form
sub path_normalize
{
    my ($path) = @_;

    $path =~ s{%([0-9a-fA-F]{2})}{
        my ($hex, $c) = (uc $1, chr(hex($1)));
        index(q{!*'();:@&=+$,/?%#[]}, $c) >= 0 ? "%$hex" : $c
    }gex;

    my @out;
    my @in = split(m{/}, $path, -1);
    shift @in;

    for my $i (0 .. $#in) {
        my $last = $i == $#in;

        if ($in[$i] eq '.') {
            push @out, '' if $last;

        } elsif ($in[$i] eq '..') {
            pop @out;
            push @out, '' if $last;

        } elsif ($in[$i] ne '' || $last) {
            push @out, $in[$i];
        }
    }

    return '/' . join('/', @out);
}

1;
