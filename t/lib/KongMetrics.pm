package KongMetrics;

# /metrics, read: { answer, value => { line without its value => value },
# head => [ HELP and TYPE lines ] }.  What is no line of the text format, and
# what is there twice, fails the test.

use strict;
use warnings;

use Exporter 'import';
use KongHttp;
use KongTest;
use Test::More;

our @EXPORT = qw(metrics metrics_parse counted histogram);


sub metrics
{
    my ($node, %o) = @_;
    my $r = http($o{port} || $node->{status}, '/metrics', timeout => 60);

    return { answer => $r, %{ metrics_parse($r->body) } };
}

sub metrics_parse
{
    my ($text) = @_;
    my (%value, @head);
    my $label = qr/\w+="(?:[^"\\]|\\["\\n])*"/;

    for my $line (split(/\n/, $text)) {
        if ($line =~ /^# (?:HELP|TYPE) \w+ ./) {
            push @head, $line;

        } elsif ($line =~ /^(\w+(?:\{(?:$label(?:,$label)*)?\})?) (\d+)$/) {
            fail("$1 is there twice") if exists $value{$1};
            $value{$1} = $2;

        } else {
            fail("no line of metrics: $line");
        }
    }

    return { value => \%value, head => \@head };
}

# the sum of all lines that match
sub counted
{
    my ($m, $pattern) = @_;
    my $sum = 0;

    $sum += $m->{value}{$_} for grep { /$pattern/ } keys %{ $m->{value} };

    return $sum;
}

# (1) or (0, why): buckets grow with their bounds up to the count
sub histogram
{
    my ($m, $name, $labels) = @_;
    my %le = map { /^\Q${name}_bucket{$labels,le="\E([\d+Inf]+)"/
                   ? ($1 => $m->{value}{$_}) : () } keys %{ $m->{value} };
    my $count = $m->{value}{"${name}_count{$labels}"};
    my $sum = $m->{value}{"${name}_sum{$labels}"};
    my @bounds = sort { $a <=> $b } grep { $_ ne '+Inf' } keys %le;
    my $last = 0;

    return (0, 'no count, no sum') if !defined $count || !defined $sum;

    for my $bound (@bounds, '+Inf') {
        return (0, "bucket $bound is less than the one before")
            if $le{$bound} < $last;
        $last = $le{$bound};
    }

    return (0, "the count is $count, +Inf $last") if $last != $count;

    return 1;
}

1;
