package KongWatch;

# What a node serves, watched without a pause: constant requests to routes
# whose answers name the state of the database that they come from.
#
# A state is made by the database's own function test.change(tag): it writes
# one version into several rows (a service, two global plugins) and into the
# table test.history, in one transaction.  An answer names all of them, so one
# that mixes two states is seen; and the history tells which states ever were.
# A version is "<tag><timeline>.<number>".

use strict;
use warnings;

use Exporter 'import';
use KongHttp;
use KongRows;
use KongTest;
use POSIX ();
use Test::More;

our @EXPORT = qw(states_new states_writer watch_start);

my $COUNT = 0;


# --- the database's side

# the rows and functions in a database that a node can read; `slots` more
# routes, one of which changes with every version
sub states_new
{
    my ($pg, %o) = @_;
    my $port = upstream();
    my $rows = rows_new($pg, upstream => $port);
    my $slots = $o{slots} || 0;

    $rows->service('w', port => $port);
    $rows->route('w', service => 'w');
    $rows->plugin('ask', 'request-transformer');
    $rows->plugin('answer', 'response-transformer');

    for my $n (1 .. $slots) {
        $rows->service("slot$n", port => $port);
        $rows->route("slot$n", service => "slot$n");
    }

    $rows->sql(functions($slots));
    $rows->sql("SELECT test.change('w')");

    return $rows;
}

# answers with what it was asked for
sub upstream
{
    my $port = free_port();

    nginx_start("upstream$port", <<"END");
        server {
            listen 127.0.0.1:$port;
            location / { return 200 "\$uri \$http_x_version"; }
        }
END

    return $port;
}

sub functions
{
    my ($slots) = @_;

    my ($ask, $answer) = map { uuid_of("plugins $_") } qw(ask answer);

    return <<"SQL";
CREATE SCHEMA test;
CREATE TABLE test.current (n bigint);
INSERT INTO test.current VALUES (0);
CREATE TABLE test.history (version text PRIMARY KEY, n bigint, slots text);
CREATE TABLE test.slots AS SELECT * FROM routes WHERE name LIKE 'slot%';

-- one of the routes is moved, taken away or given back
CREATE FUNCTION test.shuffle() RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE slot text := 'slot' || 1 + floor(random() * $slots);
BEGIN
    IF random() < 0.3 THEN
        DELETE FROM routes WHERE name = slot;
        IF NOT FOUND THEN
            INSERT INTO routes SELECT * FROM test.slots WHERE name = slot;
        END IF;
    ELSE
        UPDATE services SET path = '/' || floor(random() * 1e9)
            WHERE name = slot;
    END IF;
END \$\$;

CREATE FUNCTION test.change(tag text) RETURNS text LANGUAGE plpgsql AS \$\$
DECLARE
    v text;
    number bigint;
BEGIN
    UPDATE test.current SET n = n + 1 RETURNING n INTO number;
    v := tag || ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))
                ::bit(32)::int || '.' || number;

    UPDATE services SET path = '/' || v WHERE name = 'w';
    UPDATE plugins SET config = jsonb_build_object('add', jsonb_build_object(
        'headers', jsonb_build_array(CASE id WHEN '$ask' THEN 'X-Version:'
        ELSE 'X-Answer:' END || v))) WHERE id IN ('$ask', '$answer');

    IF $slots > 0 THEN
        PERFORM test.shuffle();
    END IF;

    INSERT INTO test.history SELECT v, number, (SELECT string_agg(r.name
        || '=' || s.path, ' ') FROM routes r JOIN services s
        ON s.id = r.service_id WHERE r.name LIKE 'slot%');
    RETURN v;
END \$\$;
SQL
}

# changes without a pause (or `pause` seconds between them) from a process of
# its own, on whichever of the servers takes them; until kill_pid()
sub states_writer
{
    my ($pg, %o) = @_;
    my @servers = ref $pg eq 'ARRAY' ? @$pg : $pg;
    my $pause = defined $o{pause} ? $o{pause} : 0.05;
    my $url = sprintf("host=%s port=%s user=kong dbname=kong "
        . 'connect_timeout=2 target_session_attrs=read-write',
        join(',', map { $_->{dir} } @servers),
        join(',', map { $_->{port} } @servers));
    my $tag = $o{tag} || 'w';
    my $sql = "SELECT test.change('$tag'); SELECT pg_sleep($pause)";
    my $bin = $servers[0]{bin};

    return spawn({ STDOUT => temp_dir() . '/writer.' . ++$COUNT }, sub {
        my $left = $o{changes} || 1e9;

        while ($left > 0) {
            my $some = $left > 50 ? 50 : $left;
            my $file = temp_dir() . "/writer.$$.sql";

            # one statement a transaction; on the first that fails a new
            # connection
            spit($file, "$sql;\n" x $some);
            my $done = 0;
            open(my $psql, '-|', "$bin/psql", '-X', '-q', '-A', '-t', '-v',
                 'ON_ERROR_STOP=1', '-f', $file, '-d', $url) or die $!;
            while (defined(my $line = <$psql>)) {
                $done += $line =~ /^\w+\d+\.\d+$/;
            }
            close($psql);
            unlink($file);

            $left -= $done;
            nap(0.1) if $done < $some;
        }
    });
}

# the history as a hash: version => its slots
sub history
{
    my (@servers) = @_;
    my %all;

    for my $pg (@servers) {
        for my $line (split(/\n/, $pg->query('SELECT version || \' \' ||
            coalesce(slots, \'\') FROM test.history')))
        {
            my ($version, @slots) = split(/ /, $line);
            $all{$version} = { map { split(/=/, $_, 2) } @slots };
        }
    }

    return \%all;
}

# the version that a server holds now
sub current
{
    my ($pg) = @_;

    return $pg->query('SELECT version FROM test.history
                       ORDER BY n DESC LIMIT 1');
}


# --- the client's side

# watch_start(port, rate => requests a second, slots => n)
sub watch_start
{
    my ($port, %o) = @_;
    my $out = temp_dir() . '/watch.' . ++$COUNT;
    my $pid = spawn(sub { watch($port, $out, %o) });

    return bless { pid => $pid, out => $out, port => $port }, __PACKAGE__;
}

# Requests on kept connections and, each tenth, on a new one.  Writes a line
# "time slot what" for an answer that differs from the last one of its slot:
# the version and, for a slot, its path; 404; or what is wrong.
sub watch
{
    my ($port, $out, %o) = @_;
    my $gap = 1 / ($o{rate} || 150);
    my @paths = ('w', map { "slot$_" } 1 .. ($o{slots} || 0));
    my %n = (requests => 0, failed => 0, cut => 0, slowest => 0);
    my ($over, $conn, %last);

    $SIG{TERM} = sub { $over = 1 };
    open(my $fh, '>', $out) or die "$out: $!";
    $fh->autoflush(1);

    while (!$over) {
        my $path = $paths[rand @paths];
        my $begin = now();

        $conn = undef if $n{requests} % 10 == 0;

        my ($answer, $what);

        $conn ||= KongHttp->connect($port, timeout => 10);
        $answer = $conn ? $conn->request("/$path")
                        : KongHttp::Answer->failed('connect');
        last if $over;

        # a connection that was closed in between, or whose worker was killed
        if ($conn && $answer->status == 0 && $answer->body eq '') {
            $n{cut}++;
            $conn = undef;
            redo;
        }

        $what = $answer->status == 404 && $path ne 'w' ? 404
                : named($path, $answer);
        $conn = undef if $answer->status == 0
                         || lc($answer->header('connection') || '') eq 'close';

        my $took = now() - $begin;
        $n{requests}++;
        $n{slowest} = $took if $took > $n{slowest};
        $n{failed}++ if $what =~ /^failed/;

        if (($last{$path} || '') ne $what) {
            $last{$path} = $what;
            printf $fh "%.3f %s %s\n", now(), $path, $what;
        }

        nap($gap - $took) if $took < $gap;
    }

    printf $fh "%.3f end %s\n", now(), join(' ', map { "$_=$n{$_}" } keys %n);
}

# the state that an answer names
sub named
{
    my ($path, $a) = @_;
    my $header = $a->header('X-Answer');

    if ($a->status != 200 || !defined $header) {
        return 'failed ' . $a->status . ' '
               . substr($a->body || '', 0, 200) =~ s/\s+/ /gr;
    }

    my ($uri, $version) = $a->body =~ m{^(/\S*) (\S*)$};

    if (!defined $uri || $version ne $header
        || ($path eq 'w' && $uri ne "/$header"))
    {
        return "torn $header " . $a->body;
    }

    return $path eq 'w' ? $version : "$version $uri";
}

# [time, path, what] so far
sub seen
{
    my ($self) = @_;

    return map { [ split(/ /, $_, 3) ] }
           grep { !/^\S+ end / } split(/\n/, slurp($self->{out}) || '');
}

# the version served last
sub last_version
{
    my ($self) = @_;
    my @all = grep { $_->[1] eq 'w' } $self->seen;

    return @all ? $all[-1][2] : '';
}

# 1 when this version was served last, by any of the routes
sub last_of
{
    my ($self, $version) = @_;
    my @all = grep { $_->[2] ne '404' } $self->seen;

    return @all && (split(/ /, $all[-1][2]))[0] eq $version;
}

# when a version that matches was first served; waits for it
sub first
{
    my ($self, $regex, $seconds) = @_;
    my $row;

    wait_until($seconds || 0, sub {
        ($row) = grep { $_->[1] eq 'w' && $_->[2] =~ $regex } $self->seen;
        $row;
    });

    return $row ? $row->[0] : undef;
}

# its counters
sub stop
{
    my ($self) = @_;
    my $pid = $self->{pid};

    kill('TERM', $pid);
    wait_until(12, sub { (slurp($self->{out}) || '') =~ /^\S+ end /m });
    kill_pid($pid, 'KILL');

    my ($end) = (slurp($self->{out}) || '') =~ /^\S+ end (.*)$/m;

    return { map { split(/=/, $_) } split(/ /, $end || '') };
}


# --- what every watch must show

# no request failed; `cut` connections may have been closed
sub is_good
{
    my ($self, $name, %o) = @_;
    my $n = $self->stop;
    my @seen = $self->seen;
    my @bad = grep { $_->[2] =~ /^(?:failed|torn)/ } @seen;

    cmp_ok($n->{requests} || 0, '>', $o{requests} || 100,
           "$name: " . ($n->{requests} || 0) . ' requests');
    is($n->{failed}, 0, "$name: none failed");
    cmp_ok($n->{cut}, '<=', $o{cut} || 0, "$name: no connection was cut");
    is(join("\n", map { "@$_" } @bad > 5 ? @bad[0 .. 4] : @bad), '',
       "$name: every answer was of one state");

    return $self->is_committed($name, %o) if $o{history};
}

# every state was committed, and came in the order of the commits.  `back`
# times at most it may have gone back to an earlier one
sub is_committed
{
    my ($self, $name, %o) = @_;
    my $history = $o{history};
    my ($back, $at, @wrong, @missing, @gone, %since) = (0, 0);

    for my $row ($self->seen) {
        my ($time, $path, $what) = @$row;
        my ($version, $uri) = split(/ /, $what);

        if ($what eq '404') {
            push @gone, [ $path, $at ];
            next;
        }

        next if $what =~ /^(?:failed|torn)/;

        if (!$history->{$version}) {
            push @missing, "@$row";
            next;
        }

        my ($n) = $version =~ /\.(\d+)$/;

        if ($n < $at) {
            $back++;
            push @wrong, "@$row after $at";
        }

        push @missing, "@$row, not " . ($history->{$version}{$path} || '404')
            if $path ne 'w' && ($history->{$version}{$path} || '') ne $uri;
        $at = $n;
    }

    is(join("\n", @missing > 5 ? @missing[0 .. 4] : @missing), '',
       "$name: every state was committed");
    ok($back <= ($o{back} || 0), "$name: none came back")
        or diag(join("\n", @wrong > 5 ? @wrong[0 .. 4] : @wrong));

    # a route that is not there was not there in some state since
    my %absent;

    for my $version (keys %$history) {
        my ($n) = $version =~ /\.(\d+)$/;
        $absent{$n} = $history->{$version};
    }

    my @never = grep {
        my ($path, $from) = @$_;
        my @later = grep { $_ >= $from } keys %absent;

        !grep { !defined $absent{$_}{$path} } @later;
    } @gone;

    is(scalar @never, 0, "$name: nothing was missing that was there")
        if @gone;
}

1;
