"""The Admin API's part of scripts/bench: writes and reads a second by 1 and
by 16 clients, on a private PostgreSQL server, beside a real Kong when
KONG_BIN names one.  Nothing here runs by itself."""
import json, os, re, subprocess
from http.client import HTTPConnection

import bench_postgres

CLIENTS = (1, 16)
WRITE = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", "/services", {["Content-Type"] = "application/json"},
    string.format('{"name":"s%s-%d","host":"h.test","retries":3}', RUN, n))
end
"""
READ = 'request = function() return wrk.format("GET", "/services/read") end\n'


def family(pid):
    """A process and all that descend from it."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as f:
                for child in f.read().split():
                    found += family(int(child))
    except OSError:
        pass                            # a process or a thread that has ended
    return found


def cpu(bench, pids):
    total = 0
    for pid in pids:
        for p in family(pid):
            try:
                total += bench.cpu_seconds(p)
            except OSError:
                pass
    return total


class Ours:
    def __init__(self, bench, db, work):
        self.node = bench.Node(work, "node", {}, settings={
            **db.settings(), "KONG_ADMIN_ACCESS_LOG": "off"})
        self.port = self.node.admin
        self.pids = [self.node.pid("nginx"), self.node.pid("controld")]
        for pid in self.node.workers + self.pids:
            subprocess.run(["taskset", "-apc", "0,1", str(pid)], check=False,
                           stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        self.stop = self.node.stop


class Proper:
    """A real Kong on the same database server."""

    def __init__(self, bench, db, work):
        binary, prefix = os.environ["KONG_BIN"], os.path.join(work, "proper")
        self.port = bench.free_port()
        env = dict(os.environ, KONG_PREFIX=prefix, **db.settings())
        env.update(KONG_PROXY_LISTEN=f"127.0.0.1:{bench.free_port()}",
                   KONG_ADMIN_LISTEN=f"127.0.0.1:{self.port}",
                   KONG_STATUS_LISTEN="off", KONG_ADMIN_GUI_LISTEN="off",
                   KONG_NGINX_MAIN_WORKER_PROCESSES="1",
                   KONG_ADMIN_ACCESS_LOG="off")
        for command in (["migrations", "bootstrap"], ["start"]):
            subprocess.run([binary] + command, env=env, check=True,
                           stdout=subprocess.DEVNULL)
        self.stop = lambda: subprocess.run([binary, "stop"], env=env,
                                           stdout=subprocess.DEVNULL)
        bench.RUNNING.append(self.stop)
        bench.wait_port(self.port, 300)
        with open(os.path.join(prefix, "pids/nginx.pid")) as f:
            self.pids = [int(f.read())]


def run(script, port, clients, seconds):
    """Requests a second and their latencies; a run with errors is none."""
    out = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{seconds}",
                          "--latency", "-s", script, f"http://127.0.0.1:{port}"],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", out)
    if bad:
        raise SystemExit("the Admin API answered with errors: " + bad[0])
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    scale = {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            float(p99[1]) * scale)


def one(bench, args, work, name, make):
    """A contender on a database of its own."""
    where = os.path.join(work, "admin-" + re.sub(r"\W", "", name))
    os.makedirs(where)
    db = bench_postgres.Database(where, bench.free_port())
    bench.RUNNING.append(db.stop)
    if make is Ours:
        subprocess.run([bench.KONG, "migrations", "bootstrap", "-q"],
                       check=True, env=dict(os.environ, **db.settings()))
    contender, rows = make(bench, db, where), {}
    c = HTTPConnection("127.0.0.1", contender.port, timeout=30)
    c.request("PUT", "/services/read", json.dumps({"host": "h.test"}),
              {"Content-Type": "application/json"})
    if c.getresponse().status != 200:
        raise SystemExit("a service is not taken")
    for kind, text in (("writes", WRITE), ("reads", READ)):
        for clients in CLIENTS:
            script = os.path.join(where, f"{kind}{clients}.lua")
            with open(script, "w") as f:
                f.write(f'local RUN = "{kind}{clients}"\n' + text)
            if kind == "reads":
                run(script, contender.port, clients, 1)
            pids = contender.pids + [db.server.pid]
            before = cpu(bench, pids)
            rate, p99 = run(script, contender.port, clients, args.seconds)
            used = (cpu(bench, pids) - before) * 1e6 / (rate * args.seconds)
            rows[f"{kind}, {clients}"] = {
                "per_second": rate, "p99_ms": p99, "cpu_us": used}
            print(f"  {name}: {kind} by {clients:2} clients: {rate:7.0f}/s, "
                  f"p99 {p99:6.1f} ms, {used:6.0f} us CPU each, with the "
                  "database's", flush=True)
    contender.stop()
    db.stop()
    return rows


def admin(bench, args, work):
    result = {"ours": one(bench, args, work, "ours", Ours)}
    if os.environ.get("KONG_BIN"):
        result["Kong"] = one(bench, args, work, "Kong", Proper)
    return result
