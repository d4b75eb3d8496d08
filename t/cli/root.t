# A node that root starts: nginx's master stays root, the daemon becomes the
# workers' user, and loses nothing by it: reloads, logs that are opened again,
# starts after a SIGKILL, stops, publishing.

use strict;
use warnings;

use IO::Socket::UNIX ();
use KongEcho;
use KongNode;
use KongPg;
use KongRows;
use KongTest;
use Test::More;

plan_skip('not root') if $> != 0;

my @pw = getpwnam('kong');
@pw = getpwnam('nobody') if !@pw;
my ($user, $uid, $gid) = @pw[0, 2, 3];
plan_skip('no user for workers') if !defined $uid;

my $upstream = echo_start();
my $node = node_start(config => echo_yaml($upstream, 'one'));
my $p = $node->{prefix};

# real, effective, saved and file system's
sub ids
{
    my ($pid, $name) = @_;

    return ((slurp("/proc/$pid/status") || '') =~ /^$name:\s+(.*)$/m)[0];
}

# owner and mode
sub of
{
    my @st = lstat($_[0]) or return 'none';

    return sprintf('%d %04o', $st[4], $st[2] & 07777);
}

sub served
{
    my ($path, $seconds) = @_;

    return wait_until($seconds || 10, sub {
        ($node->get('/x')->up_uri || '') eq $path
    });
}

# the last thread of a killed daemon may be waiting for the disk
sub freed
{
    return wait_until(10, sub {
        (run('flock', '-n', "$p/pids/controld.pid", 'true'))[0] == 0
    });
}

sub checked
{
    my ($when) = @_;
    my $pid = $node->controld;

    is(ids($pid, 'Uid'), join("\t", ($uid) x 4), "$when: the daemon's user");
    is(ids($pid, 'Gid'), join("\t", ($gid) x 4), 'and group');
    is(ids($pid, $_), '0' x 16, "no capability in $_")
        for qw(CapPrm CapEff);
    is(ids($node->master, 'Uid'), join("\t", (0) x 4), 'nginx is root');

    is(of("$p/sockets/$_.sock"), "$uid 0600", "$_.sock")
        for qw(admin ask control);
    is(of("$p/sockets"), '0 2750', 'root\'s folder of sockets');
    is(of("$p/snapshots"), "$uid 0700", 'the daemon\'s folder of snapshots');

    my @others = grep { of($_) ne "$uid 0600" }
                 glob("$p/snapshots/* $p/snapshots/.lock");
    is("@others", '', 'files in it');
    is(of("$p/.kong_env"), "$uid 0640", '.kong_env');
    is((stat("$p/.kong_env"))[5], 0, 'and its group');
    is(of("$p/$_"), '0 0755', "root's folder of $_") for qw(pids logs);
    is(of("$p/pids/controld.pid"), '0 0640', 'root\'s pid file');

    my @own = grep { (readlink($_) || '') =~ m{/pids/}
                     && (lstat($_))[2] & 0200 } glob("/proc/$pid/fd/*");
    is("@own", '', 'it cannot write its pid file');
}

checked('start');
is($node->get('/x')->up_uri, '/one', 'it serves');
is($node->admin('/services')->json->{data}[0]{name}, 's', 'Admin API');

# what others of the workers' group see of it
my $other = (grep { $_ != $uid } map { (getpwnam($_))[2] } qw(daemon games))[0];
my ($rc, $out, $err) = run('setpriv', "--reuid=$other", "--regid=$gid",
    '--clear-groups', $^X, '-MIO::Socket::UNIX', '-e',
    'for (qw(admin ask control)) { print "$_ " '
    . 'if IO::Socket::UNIX->new(Peer => "$ARGV[0]/sockets/$_.sock") } '
    . 'print "env" if open(my $f, "<", "$ARGV[0]/.kong_env"); '
    . 'print "snapshots" if opendir(my $d, "$ARGV[0]/snapshots")', $p);
is("$rc $out", '0 ', 'nothing for the workers\' group') or diag($err);

# nor for who was faster than the mode of the control socket
chmod(0666, "$p/sockets/control.sock");
($rc, $out, $err) = run('setpriv', "--reuid=$other", "--regid=$gid",
    '--clear-groups', 'curl', '-s', '-o', '/dev/null', '-w', '%{http_code}',
    '--unix-socket', "$p/sockets/control.sock", 'http://localhost/state');
is($out, 403, 'the module asks who it is') or diag($err);
chmod(0600, "$p/sockets/control.sock");

# a file that changes, and reload
$node->write_config(echo_yaml($upstream, 'two'));
ok(served('/two'), 'a change is published');
$node->write_config(echo_yaml($upstream, 'three'));
my $pid = $node->controld;
($rc, $out, $err) = $node->reload;
is($rc, 0, 'reload') or diag($err);
ok(served('/three'), 'it is published');
is($node->controld, $pid, 'the same daemon');
checked('reload');

# settings: the daemon reads them itself; it does not see a key that only root
# does
$node->{env}{KONG_LOG_LEVEL} = 'debug';
$node->{env}{KONG_SSL_CERT} = "$p/ssl/kong-default.crt";
$node->{env}{KONG_SSL_CERT_KEY} = "$p/ssl/kong-default.key";
($rc, $out, $err) = $node->reload;
is($rc, 0, 'reload with another setting') or diag($err);
ok(wait_until(10, sub {
    ($node->admin('/')->json->{configuration}{log_level} || '') eq 'debug'
}), 'the daemon has it');
unlike(slurp("$p/logs/controld.log"), qr/settings are not read/,
       'no complaint');

# logs that were moved away
my $log = "$p/logs/controld.log";
my $inode = (stat($log))[1];
rename($log, "$log.1");
kill('USR1', $node->controld);
ok(wait_until(10, sub { -e $log }), 'USR1: a new log') or diag(slurp("$log.1"));
$node->write_config("_format_version: nonsense\n");
ok(wait_until(10, sub { (slurp($log) || '') =~ /is invalid/ }),
   'it is written to');
is(of($log), '0 0640', 'root\'s');
$node->write_config(echo_yaml($upstream, 'four'));
ok(served('/four'), 'a good file again');
kill('USR1', $node->controld);

# a file that only root can read: refused with words, served as before
chmod(0600, $node->{file});
($rc, $out, $err) = $node->reload;
is($rc, 1, 'reload with a file that it cannot read');
like($err, qr/declarative_config '\Q$node->{file}\E' cannot be read by user /,
     'says so');
like($err, qr/by user '$user', as whom controld runs: give the file/,
     'and what to do');
ok(wait_until(10, sub {
    my $s = $node->status->{source};
    !$s->{ok} && $s->{message} =~ /Permission denied/
}), '/status says so') or diag(json_encode($node->status));
is($node->get('/x')->up_uri, '/four', 'it serves');
chmod(0644, $node->{file});
ok(wait_until(10, sub { $node->status->{source}{ok} }), 'it can again');

# killed: a reload starts it again
my %old = descendants($node->controld);
kill('KILL', $node->controld);
ok(freed() && wait_until(10, sub { !grep { alive($_, $old{$_}) } keys %old }),
   'SIGKILL leaves no process of it');
($rc, $out, $err) = $node->reload;
is($rc, 0, 'reload starts another') or diag($err);
ok(!exists $old{ $node->controld }, 'it is another');
checked('after SIGKILL');
$node->write_config(echo_yaml($upstream, 'five'));
ok(served('/five'), 'it publishes');

# and a service manager does
kill('KILL', $node->controld);
ok(freed(), 'killed again');
my $service = spawn({ STDOUT => "$node->{dir}/service" }, build() . '/kong',
                    'controld', '-p', $p);
ok(wait_until(10, sub {
    my $s = $node->status;
    ($s->{controld}{pid} || 0) == $service
}), 'another one in the foreground')
    or diag(slurp("$node->{dir}/service") . $node->logs);
checked('a service manager');
kill('TERM', $service);
ok(wait_until(10, sub { waitpid($service, 1) != 0 }), 'it ends');
ok(!-e "$p/$_", "and takes $_ along")
    for qw(pids/controld.pid sockets/admin.sock sockets/ask.sock);
is($node->get('/x')->up_uri, '/five', 'nginx serves');
$service = spawn({ STDOUT => "$node->{dir}/service" }, build() . '/kong',
                 'controld', '-p', $p);
ok(wait_until(10, sub { ($node->status->{controld}{pid} || 0) == $service }),
   'once more');

# killed all, and another start
$node->note_processes;
kill('KILL', $node->master, $node->worker_pids, $service);
waitpid($service, 0);
ok(wait_until(10, sub { !$node->running }), 'all killed');
($rc, $out, $err) = $node->start;
is($rc, 0, 'start after it') or diag($err);
ok(served('/five'), 'it serves');
checked('another start');

# stop cleans up what the daemon may not
ok($node->stop, 'stop');
ok(!-e "$p/pids/$_.pid", "no $_.pid") for qw(nginx controld);
is(join(' ', glob("$p/sockets/*")), '', 'no socket');

# a prefix as it was when the daemon was root, and links in the way
chown(0, $gid, "$p/snapshots", glob("$p/snapshots/*"));
chmod(02750, "$p/snapshots");
chmod(0640, glob("$p/snapshots/*"));
my $foreign = spit("$node->{dir}/foreign", 'x');
symlink($foreign, "$p/snapshots/7.source");
link($foreign, "$p/snapshots/8.source");
($rc, $out, $err) = $node->start;
is($rc, 0, 'start on an old prefix') or diag($err);
ok(served('/five'), 'it serves');
is((stat($foreign))[4], 0, 'what a link leads to is given to nobody');
unlink("$p/snapshots/7.source", "$p/snapshots/8.source");
checked('an old prefix');
ok($node->stop, 'stop');

# the default user gives way, one who was asked for does not
chmod(0600, $node->{file});
($rc, $out, $err) = $node->start;
is($rc, 0, 'start on a file of root') or diag($err);
like($err, qr/controld runs as root, because declarative_config /,
     'with a warning');
like($err, qr/'\Q$node->{file}\E' cannot be read by user '$user'/,
     'that says why');
is(ids($node->controld, 'Uid'), join("\t", (0) x 4), 'the daemon is root');
ok(served('/five'), 'it serves');
is(of("$p/sockets/$_.sock"), "$uid 0600", "$_.sock")
    for qw(admin ask control);
is(of("$p/snapshots"), '0 2750', 'workers may read the snapshots');
$node->write_config(echo_yaml($upstream, 'six'));
chmod(0600, $node->{file});
ok(served('/six'), 'it publishes');
ok($node->stop, 'stop');

my ($named) = grep { defined getpwnam($_) && (getpwnam($_))[2] != $uid }
              qw(www-data daemon);
$node->{env}{KONG_NGINX_USER} = $named;
($rc, $out, $err) = $node->start;
is($rc, 1, 'start as a user who cannot read it');
like($err, qr/declarative_config .* cannot be read by user '$named'/,
     'says so');
is(scalar(my @left = $node->running), 0, 'nothing runs');

chmod(0644, $node->{file});
($rc, $out, $err) = $node->start;
is($rc, 0, 'start as a user of choice') or diag($err);
($uid, $gid) = (getpwnam($named))[2, 3];
checked('a user of choice');
ok(served('/six'), 'it serves');

delete $node->{env}{KONG_NGINX_USER};
$node->{env}{KONG_NGINX_USER} = $user;
($rc, $out, $err) = $node->reload;
is($rc, 1, 'reload as another user');
like($err, qr/nginx_user takes effect with a restart/, 'says so');
is($node->get('/x')->up_uri, '/six', 'it serves');
($rc, $out, $err) = $node->kong('restart', '-p', $p);
is($rc, 0, 'restart') or diag($err);
$node->note_processes;
($uid, $gid) = @pw[2, 3];
checked('restart as another');
ok(served('/six'), 'it serves');
ok($node->stop, 'stop');

# a database: the fence beside the snapshots is the daemon's too, and libpq
# does not look for certificates in root's home
SKIP: {
    skip('no PostgreSQL here', 1) if !-x (pg_at()->{bin} || '') . '/postgres';

    my $pg = pg_new();
    rows_new($pg);
    my $home = temp_dir('home');
    chmod(0700, $home);
    $node = node_start(env => { $pg->env, HOME => $home });
    $p = $node->{prefix};
    checked('a database');
    ok(-s "$p/snapshots/database.fence", 'the fence');

    my %o = (method => 'POST',
             headers => { 'Content-Type' => 'application/json' });
    is($node->admin('/services', %o, body => json_encode({ name => 'mine',
           url => "http://127.0.0.1:$upstream/db" }))->status, 201,
       'a service');
    is($node->admin('/services/mine/routes', %o,
                    body => json_encode({ paths => ['/x'] }))->status, 201,
       'a route');
    ok(served('/db'), 'it is served');

    kill('KILL', $node->controld);
    ok(freed(), 'killed');
    ($rc, $out, $err) = $node->reload;
    is($rc, 0, 'reload starts another') or diag($err);
    checked('a database, after SIGKILL');
    is($node->admin('/services/mine', method => 'PATCH',
           headers => $o{headers}, body => json_encode({ path => '/new' })
       )->status, 200, 'a change');
    ok(served('/new'), 'it is served');
}

finish();
