package KongRows;

# A database of Kong's with rows, written as a foreign program writes them:
# plain SQL, ids made of names, so that tests can refer to them.

use strict;
use warnings;

use Digest::MD5 ();
use Exporter 'import';
use KongTest;

our @EXPORT = qw(rows_new uuid_of);


sub uuid_of
{
    my ($name) = @_;

    return Digest::MD5::md5_hex($name)
           =~ s/^(.{8})(.{4})(.{4})(.{4})(.{12})$/$1-$2-$3-$4-$5/r;
}

# rows_new($pg, upstream => port, triggers => 0): bootstrapped, with one
# service `s` that leads to the upstream
sub rows_new
{
    my ($pg, %o) = @_;
    my $self = bless { pg => $pg, database => $o{database} }, __PACKAGE__;

    my ($rc, $out, $err) = run({ env => { $pg->env(%o) }, timeout => 60 },
                               build() . '/kong', 'migrations', 'bootstrap',
                               '-q');
    die "bootstrap: $out$err" if $rc != 0;

    $self->disarm if exists $o{triggers} && !$o{triggers};
    $self->{ws} = $self->sql('SELECT id FROM workspaces');
    $self->service('s', port => $o{upstream});

    return $self;
}

# without the gateway's own additions, as a database that it may only read
sub disarm
{
    my ($self) = @_;

    $self->sql(<<'SQL');
DO $$ DECLARE t record; BEGIN
    FOR t IN SELECT tgrelid::regclass AS r, tgname FROM pg_trigger
        WHERE tgname LIKE 'controld\_%' AND NOT tgisinternal
    LOOP EXECUTE format('DROP TRIGGER %s ON %s', t.tgname, t.r); END LOOP;
    FOR t IN SELECT p.oid::regprocedure AS f FROM pg_proc p
        WHERE p.proname LIKE 'controld\_%'
    LOOP EXECUTE format('DROP FUNCTION %s CASCADE', t.f); END LOOP;
    DROP TABLE controld_changes, controld_commits, controld_migrations;
    DROP SEQUENCE controld_version_seq;
END $$;
SQL
}

sub sql
{
    my ($self, $sql) = @_;

    return $self->{pg}->query($sql, defined $self->{database}
                                    ? (database => $self->{database}) : ());
}

# insert(table, id's name, column => SQL text ...)
sub insert
{
    my ($self, $table, $name, %c) = @_;
    my @names = sort keys %c;

    $self->sql("INSERT INTO $table (id, ws_id"
               . join('', map { ", \"$_\"" } @names) . ') VALUES ('
               . "'" . uuid_of("$table $name") . "', '$self->{ws}'"
               . join('', map { ", $c{$_}" } @names) . ')');
}

sub service
{
    my ($self, $name, %o) = @_;

    $self->insert('services', $name, name => "'$name'",
        host => $o{host} ? "'$o{host}'" : "'127.0.0.1'",
        port => $o{port} || 1, protocol => "'http'", path => "'/'",
        retries => 5, connect_timeout => 60000, write_timeout => 60000,
        read_timeout => 60000);
}

sub route
{
    my ($self, $name, %o) = @_;

    $self->insert('routes', $name, name => "'$name'",
        service_id => "'" . uuid_of('services ' . ($o{service} || 's')) . "'",
        paths => "'{" . ($o{path} || "/$name") . "}'",
        protocols => "'{http,https}'", strip_path => 'true',
        preserve_host => 'false', regex_priority => 0,
        https_redirect_status_code => 426, request_buffering => 'true',
        response_buffering => 'true', %{ $o{columns} || {} });
}

# on => ['routes', name]; config as JSON text
sub plugin
{
    my ($self, $id, $name, %o) = @_;
    my %scope;

    if ($o{on}) {
        (my $field = $o{on}[0]) =~ s/s$/_id/;
        $scope{$field} = "'" . uuid_of("@{ $o{on} }") . "'";
    }

    $self->insert('plugins', $id, name => "'$name'", enabled => 'true',
        config => "'" . ($o{config} || '{}') . "'::jsonb",
        protocols => "'{http,https}'",
        cache_key => "'plugins:$name:$id'", %scope);
}

1;
