package KongDeck;

# decK against one Admin API, as a user runs it.  Where there is no decK the
# test is skipped: DECK_BIN names one that is in no folder of PATH.  It runs
# in a folder of its own, without the settings and the home of whoever runs
# the tests, and tells nobody that it ran.

use strict;
use warnings;

use Exporter 'import';
use KongTest;
use Test::More;

our @EXPORT = qw(deck_skip deck_new);

my $BIN;


sub deck_skip
{
    my @found = grep { -f && -x _ }
        defined $ENV{DECK_BIN} ? $ENV{DECK_BIN}
                               : map { "$_/deck" } split(/:/, $ENV{PATH});

    $BIN = shift @found;

    plan_skip('no decK here; put deck, a release of github.com/Kong/deck, '
              . 'in PATH, or set DECK_BIN to its path') if !defined $BIN;
}

# deck_new(node, more arguments for each command)
sub deck_new
{
    my ($node, @args) = @_;

    return bless {
        dir => temp_dir('deck'), args => [
            @args, '--analytics=false', '--no-color', '--kong-addr',
            "http://127.0.0.1:$node->{admin}"
        ]
    }, __PACKAGE__;
}

# the path of a file of this content (text, or data as JSON)
sub file
{
    my ($self, $name, $content) = @_;

    return spit("$self->{dir}/$name",
                ref $content ? json_encode($content) : $content);
}

# run(command, ...): (exit code, stdout, stderr)
sub deck
{
    my ($self, @command) = @_;

    return run({
        env => { HOME => $self->{dir},
                 map { $_ => undef } grep { /^DECK_/ } keys %ENV },
        dir => $self->{dir}, timeout => 300
    }, $BIN, @command, @{ $self->{args} });
}

# a command that must end with this exit code; what it printed
sub ok_deck
{
    my ($self, $name, $want, @command) = @_;
    my ($rc, $out, $err) = $self->deck(@command);

    is($rc, $want, "$name: exit code") or diag($out . $err);

    return $out . $err;
}

# a sync, or a diff, that must make these changes and no others
sub changes
{
    my ($self, $name, $want, @command) = @_;
    my $text = $self->ok_deck($name, 0, @command);
    my @n = $text =~ /Created: (\d+)\s+Updated: (\d+)\s+Deleted: (\d+)/;

    is("@n", "@$want", "$name: made, changed, deleted") or diag($text);

    return $text;
}

# the file is what the gateway has
sub no_diff
{
    my ($self, $name, $file, @args) = @_;

    $self->changes($name, [ 0, 0, 0 ], 'gateway', 'diff',
                   '--non-zero-exit-code', @args, $file);
}

# the configuration that the gateway has, as data
sub dump
{
    my ($self, $name, @args) = @_;
    my $file = "$self->{dir}/dump.json";

    unlink($file);
    $self->ok_deck($name, 0, 'gateway', 'dump', '--format', 'json', '--yes',
                   '-o', $file, @args);

    return json_decode(slurp($file) || '{}');
}

1;
