"""The database's parts of scripts/bench: a private PostgreSQL server on
loopback, changes committed through libpq, and how long they take to be
served by every worker.  Nothing here runs by itself."""
import contextlib, ctypes, ctypes.util, glob, os, pwd, random, resource
import signal, statistics, subprocess, threading, time


def libpq():
    lib = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
    lib.PQconnectdb.restype = lib.PQexec.restype = ctypes.c_void_p
    lib.PQerrorMessage.restype = lib.PQgetvalue.restype = ctypes.c_char_p
    lib.PQconnectdb.argtypes = [ctypes.c_char_p]
    lib.PQexec.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    lib.PQgetvalue.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    for name in ("PQerrorMessage", "PQresultStatus", "PQntuples", "PQclear",
                 "PQfinish", "PQstatus"):
        getattr(lib, name).argtypes = [ctypes.c_void_p]
    return lib


class Database:
    """A server of its own, never as root.  It does not wait for the disk:
    the clock starts when a commit has returned."""

    def __init__(self, work, port, settings=()):
        bins = glob.glob("/usr/lib/postgresql/*/bin")
        if not bins:
            raise SystemExit("no PostgreSQL server here")
        self.bin = max(bins, key=lambda b: int(b.split("/")[-2]))
        self.dir = os.path.join(work, "postgres")
        self.port, self.lib = port, libpq()
        os.makedirs(self.dir)
        self.user = None
        if os.getuid() == 0:
            self.user = "postgres"
            entry = pwd.getpwnam(self.user)
            os.chown(self.dir, entry.pw_uid, entry.pw_gid)
        data = os.path.join(self.dir, "data")
        self.run([f"{self.bin}/initdb", "-D", data, "-U", "kong", "-N", "-A",
                  "trust", "-E", "UTF8", "--no-locale"])
        options = [f"port={port}", "listen_addresses=127.0.0.1",
                   f"unix_socket_directories={self.dir}", "fsync=off",
                   "full_page_writes=off", "shared_buffers=256MB", *settings]
        self.server = subprocess.Popen(
            self.command([f"{self.bin}/postgres", "-D", data]
                         + [a for o in options for a in ("-c", o)]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        end = time.time() + 30
        while True:
            conn = self.connect("postgres")
            if conn:
                break
            if time.time() > end:
                raise SystemExit("PostgreSQL does not start")
            time.sleep(0.05)
        self.exec(conn, "CREATE DATABASE kong")
        self.lib.PQfinish(conn)
        self.conn = None

    def command(self, args):
        if self.user is None:
            return args
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}",
                "--clear-groups", "--"] + args

    def run(self, args):
        subprocess.run(self.command(args), check=True, cwd="/",
                       stdout=subprocess.DEVNULL)

    def connect(self, name):
        conn = self.lib.PQconnectdb(f"host={self.dir} port={self.port} "
                                    f"user=kong dbname={name}".encode())
        if self.lib.PQstatus(conn) == 0:
            return conn
        self.lib.PQfinish(conn)
        return None

    def exec(self, conn, sql):
        res = self.lib.PQexec(conn, sql.encode())
        if self.lib.PQresultStatus(res) not in (1, 2):
            raise SystemExit(self.lib.PQerrorMessage(conn).decode() + sql)
        value = None
        if self.lib.PQntuples(res):
            value = self.lib.PQgetvalue(res, 0, 0).decode()
        self.lib.PQclear(res)
        return value

    def sql(self, sql):
        if self.conn is None:
            self.conn = self.connect("kong")
        return self.exec(self.conn, sql)

    def settings(self):
        return {"KONG_DATABASE": "postgres", "KONG_PG_HOST": "127.0.0.1",
                "KONG_PG_PORT": str(self.port), "KONG_PG_USER": "kong",
                "KONG_PG_DATABASE": "kong"}

    def stop(self):
        if self.conn is not None:
            self.lib.PQfinish(self.conn)
            self.conn = None
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait()


def database(bench, work, upstream, n, consumers=0):
    """A bootstrapped database with n routes on 100 services, one more route
    that changes, and consumers with a key and a password each."""
    db = Database(work, bench.free_port())
    bench.RUNNING.append(db.stop)
    subprocess.run([bench.KONG, "migrations", "bootstrap", "-q"], check=True,
                   env=dict(os.environ, **db.settings()))
    db.sql(f"""
INSERT INTO services (id, ws_id, name, host, port, protocol, retries,
        connect_timeout, write_timeout, read_timeout, created_at, updated_at)
    SELECT md5('s' || i)::uuid, w.id, 's' || i, '127.0.0.1',
           {upstream}, 'http', 5, 60000, 60000, 60000, now(), now()
    FROM generate_series(0, 99) i, workspaces w;
INSERT INTO routes (id, ws_id, name, service_id, hosts, paths, protocols,
        strip_path, preserve_host, regex_priority, path_handling,
        https_redirect_status_code, request_buffering, response_buffering,
        created_at, updated_at)
    SELECT md5('r' || i)::uuid, w.id, 'r' || i, md5('s' || i % 100)::uuid,
           ARRAY['h' || i % greatest(1, {n} / 1000) || '.example.com'],
           ARRAY[CASE WHEN i % 10 = 9 THEN '~/p' || i || '/x/(?<id>\\d+)'
                 ELSE '/p' || i || '/x' END], '{{http,https}}', false, false,
           0, 'v0', 426, true, true, now(), now()
    FROM generate_series(1, {n}) i, workspaces w;
INSERT INTO routes (id, ws_id, name, service_id, hosts, paths, protocols,
        strip_path, preserve_host, regex_priority, path_handling,
        https_redirect_status_code, request_buffering, response_buffering)
    SELECT md5('marker')::uuid, id, 'marker', md5('s1')::uuid,
           '{{probe.invalid}}', '{{/marker-0}}', '{{http,https}}', false,
           false, 0, 'v0', 426, true, true FROM workspaces;
INSERT INTO consumers (id, ws_id, username)
    SELECT md5('c' || i)::uuid, w.id, 'c' || i
    FROM generate_series(1, {consumers}) i, workspaces w;
INSERT INTO keyauth_credentials (id, ws_id, consumer_id, key, created_at)
    SELECT md5('k' || i)::uuid, w.id, md5('c' || i)::uuid, 'k' || i, now()
    FROM generate_series(1, {consumers}) i, workspaces w;
INSERT INTO basicauth_credentials (id, ws_id, consumer_id, username,
        password, created_at)
    SELECT md5('b' || i)::uuid, w.id, md5('c' || i)::uuid, 'k' || i,
           md5(i::text) || 'abcdef01', now()
    FROM generate_series(1, {consumers}) i, workspaces w;
""")
    db.sql("VACUUM ANALYZE")
    return db


def disarm(db):
    """Without the gateway's own tables, as one that may only be read."""
    db.sql("""DO $$ DECLARE t record; BEGIN
    FOR t IN SELECT tgrelid::regclass AS r, tgname FROM pg_trigger
        WHERE tgname LIKE 'controld\\_%' AND NOT tgisinternal
    LOOP EXECUTE format('DROP TRIGGER %s ON %s', t.tgname, t.r); END LOOP;
    FOR t IN SELECT p.oid::regprocedure AS f FROM pg_proc p
        WHERE p.proname LIKE 'controld\\_%'
    LOOP EXECUTE format('DROP FUNCTION %s CASCADE', t.f); END LOOP;
    DROP TABLE controld_changes, controld_commits, controld_migrations;
    DROP SEQUENCE controld_version_seq;
END $$""")


def worker_of(bench, node, probe):
    """The worker that holds the other end of a probe's connection."""
    mine = probe.s.getsockname()[1]
    with open("/proc/net/tcp") as f:
        lines = [line.split() for line in f][1:]
    inodes = [fields[9] for fields in lines
              if int(fields[1].split(":")[1], 16) == node.port
              and int(fields[2].split(":")[1], 16) == mine]
    for pid in node.workers:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                name = os.readlink(f"/proc/{pid}/fd/{fd}")
                if inodes and name == f"socket:[{inodes[0]}]":
                    return pid
    return None


def probes(bench, node):
    """A connection to each worker."""
    found = {}
    for _ in range(2000):
        probe = bench.Probe(node.port)
        probe.status("/")
        pid = worker_of(bench, node, probe)
        if pid is not None and pid not in found:
            found[pid] = probe
        else:
            probe.s.close()
        if len(found) == len(node.workers):
            return list(found.values())
    raise SystemExit("no connection to every worker")


def change(bench, db, all_probes, i, seconds=60):
    """ms from the commit's return until every worker serves it."""
    db.sql(f"UPDATE routes SET paths = '{{/marker-{i}}}' "
           "WHERE id = md5('marker')::uuid")
    began = time.monotonic()
    for probe in all_probes:
        while probe.status(f"/marker-{i}") == 404:
            if time.monotonic() - began > seconds:
                raise SystemExit("a change did not arrive")
            time.sleep(0.0002)
    return (time.monotonic() - began) * 1000


def node_of(bench, db, work, name, settings=(), workers=2):
    node = bench.Node(work, name, {}, workers=workers,
                      settings={**db.settings(), **dict(settings)})
    bench.RUNNING.append(node.stop)
    return node


def rows(bench, args, work, upstream):
    """Row committed -> served by every worker; with triggers and polled."""
    result = {}
    for n in [s for s in (10000, 100000) if s <= max(args.sizes)]:
        where = os.path.join(work, f"rows{n}")
        os.makedirs(where)
        db = database(bench, where, upstream, n)
        node = node_of(bench, db, where, "node")
        every = probes(bench, node)
        changes = args.changes
        # behind the daemon's own load
        change(bench, db, every, "first")
        cpu = bench.cpu_seconds(node.pid("controld"))
        times = []
        for i in range(1, changes + 1):
            times.append(change(bench, db, every, i))
            time.sleep(0.01)
        cpu = (bench.cpu_seconds(node.pid("controld")) - cpu) * 1000 / changes
        row = {"p50_ms": bench.percentile(times, 50),
               "p99_ms": bench.percentile(times, 99), "changes": changes,
               "controld_cpu_ms": cpu,
               "controld_rss": bench.memory(node.pid("controld"))[0]}
        result[f"triggers, {n}"] = row
        print(f"  {n} routes, triggers: commit -> served p50 "
              f"{row['p50_ms']:.1f} ms, p99 {row['p99_ms']:.1f} ms "
              f"({changes} changes, {len(every)} workers); controld "
              f"{cpu:.1f} ms CPU a change, "
              f"{row['controld_rss'] / 1e6:.1f} MB", flush=True)
        node.stop()
        if n == 10000:
            result["polled"] = polled(bench, db, where)
        db.stop()
    return result


def polled(bench, db, work):
    """Changes at random moments against the poll's interval."""
    interval, times = 1, []
    disarm(db)
    node = node_of(bench, db, work, "polling",
                   {"KONG_DB_UPDATE_FREQUENCY": str(interval)})
    every = probes(bench, node)
    rng = random.Random(3)
    for i in range(1000, 1012):
        times.append(change(bench, db, every, i))
        time.sleep(rng.random() * interval)
    node.stop()
    row = {"p50_ms": bench.percentile(times, 50), "max_ms": max(times),
           "interval_ms": interval * 1000, "changes": len(times)}
    print(f"  without triggers, polled each {interval * 1000} ms: commit -> "
          f"served p50 {row['p50_ms']:.0f} ms, longest {row['max_ms']:.0f} ms"
          f" ({len(times)} changes)", flush=True)
    return row


def churn(bench, args, work, upstream):
    """p99.9 while a row changes 50 times a second, against quiet: with a load
    that leaves the CPUs room (64 connections that rest 5 ms before each
    request), and with one that leaves none.  The database, the daemon, the
    load generator and the upstream share what the gateway leaves of two CPUs;
    so the same load goes straight to the upstream, too: what it sees is not
    the gateway's."""
    n, stop, result = max(args.sizes), threading.Event(), {}
    work = os.path.join(work, "churn")
    os.makedirs(work)
    db = database(bench, work, upstream, n)
    node = node_of(bench, db, work, "node", workers=1)
    hits = [(f"h{i % max(1, n // 1000)}.example.com",
             f"/p{i}/x" + ("/7" if i % 10 == 9 else ""))
            for i in random.Random(4).sample(range(1, n + 1), min(n, 20000))]
    pace = {"paced": (64, 5, node.port), "saturated": (16, 0, node.port),
            "paced, no gateway": (64, 5, upstream)}
    for name, (_, delay, _) in pace.items():
        bench.wrk_script(os.path.join(work, name + ".lua"), hits, delay=delay)

    def changes(count):
        end = time.monotonic()
        while not stop.is_set():
            count[0] += 1
            db.sql(f"UPDATE routes SET paths = '{{/marker-{count[0]}}}' "
                   "WHERE id = md5('marker')::uuid")
            end += 1 / args.changes_per_second
            stop.wait(max(0, end - time.monotonic()))

    for name, (connections, _, port) in pace.items():
        script = os.path.join(work, name + ".lua")
        quiet, busy, count, before = [], [], [0], generation(node)
        bench.run_wrk(port, script, 2, connections)
        for _ in range(args.rounds):
            quiet.append(bench.run_wrk(port, script, args.seconds,
                                       connections))
            stop.clear()
            thread = threading.Thread(target=changes, args=(count,))
            thread.start()
            busy.append(bench.run_wrk(port, script, args.seconds,
                                      connections))
            stop.set()
            thread.join()
        row = {"routes": n, "commits": count[0],
               "generations": generation(node) - before,
               "rps": statistics.median(r["rps"] for r in quiet),
               "errors": sum(r["errors"] + r["status_errors"]
                             for r in quiet + busy)}
        for k in ("p50", "p99", "p999"):
            row["quiet_" + k] = statistics.median(r[k] for r in quiet)
            row["busy_" + k] = statistics.median(r[k] for r in busy)
        row["ratio"] = row["busy_p999"] / row["quiet_p999"]
        result[name] = row
        print(f"  {n} routes, {name}, {row['rps']:.0f} requests/s, "
              f"{row['commits']} commits, {row['generations']} generations: "
              f"p99.9 quiet {row['quiet_p999']:.2f} ms, busy "
              f"{row['busy_p999']:.2f} ms, x {row['ratio']:.2f} (p99 "
              f"{row['quiet_p99']:.2f}, {row['busy_p99']:.2f}; p50 "
              f"{row['quiet_p50']:.2f}, {row['busy_p50']:.2f}), "
              f"{row['errors']} errors", flush=True)
    node.stop()
    db.stop()
    return result


def generation(node):
    return node.status()["configuration"]["generation"]


def peak(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0


def segment_size(folder):
    """Of the largest; old ones go while they are looked at."""
    sizes = [0]
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            if name.endswith(".config"):
                sizes.append(os.path.getsize(os.path.join(folder, name)))
    return max(sizes)


def load(bench, args, work, upstream):
    """Routes, consumers and credentials: a whole load, and one changed row."""
    n = max(args.sizes)
    work = os.path.join(work, "load")
    os.makedirs(work)
    db = database(bench, work, upstream, n, n)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    node = node_of(bench, db, work, "node")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    pid = node.pid("controld")
    every = probes(bench, node)
    # the daemon has read everything, too, once its first change arrives
    first = change(bench, db, every, 1)
    rss = bench.memory(pid)[0]
    one = [change(bench, db, every, i) for i in range(2, 22)]
    row = {
        "routes": n, "consumers": n, "credentials": 2 * n,
        "kong_start_s": node.start_seconds,
        "kong_start_cpu_s": after.ru_utime + after.ru_stime
                            - before.ru_utime - before.ru_stime,
        "first_change_s": first / 1000,
        "changed_row_ms": bench.percentile(one, 50),
        "changed_row_max_ms": max(one), "controld_first_rss": rss,
        "controld_rss": bench.memory(pid)[0], "controld_peak": peak(pid),
        "kong_start_peak": after.ru_maxrss * 1024,
        "segment": segment_size(os.path.join(node.prefix, "snapshots")),
    }
    node.stop()
    db.stop()
    print(f"  {n} routes, {n} consumers, {2 * n} credentials\n"
          f"  kong start, from an empty prefix to the first answer: "
          f"{row['kong_start_s']:.2f} s, {row['kong_start_cpu_s']:.2f} s of "
          f"CPU, peak {row['kong_start_peak'] / 1e6:.0f} MB\n"
          f"  the daemon's first change, behind its own load: "
          f"{row['first_change_s']:.2f} s; one changed row afterwards: p50 "
          f"{row['changed_row_ms']:.0f} ms, longest "
          f"{row['changed_row_max_ms']:.0f} ms\n"
          f"  controld {row['controld_rss'] / 1e6:.0f} MB, peak "
          f"{row['controld_peak'] / 1e6:.0f} MB; segment "
          f"{row['segment'] / 1e6:.1f} MB", flush=True)
    return row
