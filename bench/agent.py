#!/usr/bin/env python3
"""Measures the agent `swim` beside HashiCorp's `serf`, on loopback addresses of this machine.

How to run it, and what each figure means: bench/README.md. Python 3.10 or later, Linux, nothing to install.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import random
import selectors
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PORT, RPC_PORT = 17946, 17373
PATIENCE = 60.0  # Longer than anything here takes.

# Kind: what the table calls it, and what it is started with besides.
KINDS = {
    "serf": [],
    "swim --wire serf": ["-wire=serf"],
    "swim": ["-wire=native"],
}

# Figure: its unit, and for each kind of ours the target beside the figure of Serf that it was set by. Times depend on the
# machine; a target that is missed in seconds may be met as a ratio.
MIB = "MiB"
FIGURES = {
    "start to RPC answers":            ("ms",    {"swim --wire serf": (4, 12.5), "swim": (4, 12.5)}),
    "idle of 10: resident memory":     (MIB,     {"swim --wire serf": (4, None), "swim": (4, None)}),
    "idle of 10: proportional share":  (MIB,     {}),
    "idle of 10: CPU":                 ("s/min", {"swim --wire serf": (0.02, 0.11), "swim": (0.02, 0.11)}),
    "idle of 10: CPU for recording":   ("%",     {"swim": (5, None)}),
    "idle of 10: UDP sent":            ("B/s",   {"swim": (200, None)}),
    "idle of 10: UDP packets sent":    ("/s",    {}),
    "binary, stripped":                ("MB",    {"swim --wire serf": (8, None), "swim": (8, None)}),
    "2 members, start to all see 2":   ("ms",    {}),
    "10 members, start to all see 10": ("ms",    {}),
    "30 members, start to all see 30": ("ms",    {"swim --wire serf": (500, 700), "swim": (500, 700)}),
    "30 members, last start to all":   ("ms",    {}),
    "user event to the last of 30":    ("ms",    {"swim --wire serf": (468, 468), "swim": (50, 468)}),
    "SIGKILL to failed at all of 30":  ("s",     {"swim --wire serf": (7.8, 7.8), "swim": (3.5, 7.8)}),
    "200 members, start to all see 200": ("ms",  {"swim --wire serf": (5000, 13200), "swim": (5000, 13200)}),
    "200 members, memory of all":      (MIB,     {"swim --wire serf": (512, None), "swim": (512, None)}),
    "500 members, start to all see 500": ("ms",  {"swim": (20000, None)}),
    "500 members, memory of all":      (MIB,     {}),
}


class Unusable(Exception):
    """Something is missing or went wrong, in words for whoever started this."""


# The RPC protocol: msgpack values on a TCP connection, a header and then a body.


def pack(value):
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return bytes([value]) if value < 128 else b"\xce" + struct.pack(">I", value)
    if isinstance(value, bytes):
        return b"\xc4" + bytes([len(value)]) + value
    if isinstance(value, str):
        encoded = value.encode()
        return (bytes([0xA0 | len(encoded)]) if len(encoded) < 32 else b"\xd9" + bytes([len(encoded)])) + encoded
    if isinstance(value, dict):
        return bytes([0x80 | len(value)]) + b"".join(pack(key) + pack(item) for key, item in value.items())
    raise TypeError(f"{value!r}")


def unpack(data, at):
    """The value at `at`, and where it ends. IndexError or struct.error: not all of it is there yet."""
    marker = data[at]
    at += 1

    def number(form):
        (value,) = struct.unpack_from(">" + form, data, at)
        return value, at + struct.calcsize(form)

    def slice_of(length, at):
        if at + length > len(data):
            raise IndexError
        return bytes(data[at : at + length]), at + length

    def many(count, at):
        items = []
        for _ in range(count):
            item, at = unpack(data, at)
            items.append(item)
        return items, at

    def pairs(count, at):
        items, at = many(2 * count, at)
        return dict(zip(items[::2], items[1::2])), at

    def text(length, at):
        raw, at = slice_of(length, at)
        return raw.decode(errors="replace"), at

    if marker < 0x80:
        return marker, at
    if marker >= 0xE0:
        return marker - 256, at
    if marker < 0x90:
        return pairs(marker & 0x0F, at)
    if marker < 0xA0:
        return many(marker & 0x0F, at)
    if marker < 0xC0:
        return text(marker & 0x1F, at)
    if marker in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[marker], at
    scalars = {0xCA: "f", 0xCB: "d", 0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q", 0xD0: "b", 0xD1: "h", 0xD2: "i", 0xD3: "q"}
    if marker in scalars:
        return number(scalars[marker])
    sized = {0xC4: ("B", slice_of), 0xC5: ("H", slice_of), 0xC6: ("I", slice_of), 0xD9: ("B", text), 0xDA: ("H", text),
             0xDB: ("I", text), 0xDC: ("H", many), 0xDD: ("I", many), 0xDE: ("H", pairs), 0xDF: ("I", pairs)}
    form, read = sized[marker]
    length, at = number(form)
    return read(length, at)


class Rpc:
    """One connection to an agent."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.seq = bytearray(), 0
        self.call("handshake", {"Version": 1})

    def send(self, command, body=None):
        self.seq += 1
        self.socket.sendall(pack({"Command": command, "Seq": self.seq}) + (b"" if body is None else pack(body)))

    def values(self):
        """Those that have arrived as a whole."""
        at, found = 0, []
        while at < len(self.buffer):
            try:
                value, at = unpack(self.buffer, at)
            except (IndexError, struct.error):
                break
            found.append(value)
        del self.buffer[:at]
        return found

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise Unusable("an agent closed its RPC connection")
        self.buffer += data
        return self.values()

    def call(self, command, body=None, replies=1):
        """Header and, with two replies, the body that follows it."""
        self.send(command, body)
        found = []
        while len(found) < replies:
            found += self.receive()
        if found[0]["Error"]:
            raise Unusable(f"an agent refused {command}: {found[0]['Error']}")
        return found[-1]

    def serf(self, name):
        """One of the numbers of the protocol in `stats`."""
        return int(self.call("stats", replies=2)["serf"][name])

    def alive(self):
        return sum(member["Status"] == "alive" for member in self.call("members", replies=2)["Members"])

    def close(self):
        self.socket.close()


class Agent:
    """A process that is ours, at addresses that are its own."""

    def __init__(self, bench, kind, ip, arguments=()):
        self.kind, self.ip, self.name = kind, ip, ip
        self.rpc = None
        self.log = tempfile.TemporaryFile(dir=bench.directory)
        call = [bench.programs[kind], "agent", f"-node={self.name}", f"-bind={ip}:{PORT}", f"-rpc-addr={ip}:{RPC_PORT}",
                "-log-level=warn", *KINDS[kind], *arguments]
        self.started = time.perf_counter()
        # In a session of its own: what a terminal sends on Ctrl-C is for us, and we end it.
        self.process = subprocess.Popen(call, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        cwd=bench.directory, start_new_session=True)

    def wait_for_rpc(self):
        """Connects as soon as it listens. Seconds from its start until it answered."""
        deadline = self.started + PATIENCE
        while self.rpc is None:
            try:
                self.rpc = Rpc((self.ip, RPC_PORT))
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.perf_counter() > deadline:
                    raise Unusable(f"{self.kind} at {self.ip} did not come up:\n{self.said()}") from None
                time.sleep(0.0001)
        return time.perf_counter() - self.started

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")[-2000:]

    def read(self, name):
        return pathlib.Path(f"/proc/{self.process.pid}/{name}").read_text()

    def kibibytes(self, name, field):
        (line,) = [line for line in self.read(name).splitlines() if line.startswith(field + ":")]
        return int(line.split()[1])

    def cpu_seconds(self):
        """On a processor so far, all threads; in nanoseconds where the kernel tells."""
        try:
            tasks = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
            return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
        except OSError:
            fields = self.read("stat").rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self):
        if self.rpc:
            self.rpc.close()
        self.process.kill()
        self.process.wait()
        self.log.close()


class Udp:
    """Counts the datagrams between our addresses, where we may listen in on the loopback interface (as root)."""

    def __init__(self, prefix):
        self.counts, self.prefix, self.wanted = {}, prefix, True
        try:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
            self.socket.bind(("lo", 0))
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self.socket.settimeout(0.2)
        except PermissionError:
            self.socket = None
            return
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while self.wanted:
            try:
                packet = self.socket.recv(65536)
            except TimeoutError:
                continue
            # Whoever asks for one protocol sees what comes in, and not what goes out.
            if packet[9] == socket.IPPROTO_UDP and packet[12:14] == self.prefix:
                count, size = self.counts.get(packet[12:16], (0, 0))
                self.counts[packet[12:16]] = (count + 1, size + len(packet) - 4 * (packet[0] & 0x0F) - 8)

    def stop(self):
        self.wanted = False
        if self.socket:
            self.thread.join()
            self.socket.close()

    def sent(self, ips):
        """Datagrams and bytes in them, sent from these addresses. `None`: could not be seen."""
        if self.socket is None:
            return None
        found = [self.counts.get(socket.inet_aton(ip), (0, 0)) for ip in ips]
        return sum(count for count, _ in found), sum(size for _, size in found)


class Bench:
    def __init__(self, programs, options):
        self.programs, self.options = programs, options
        self.samples = {figure: {kind: [] for kind in KINDS} for figure in FIGURES}
        self.agents = []
        self.directory = tempfile.mkdtemp(prefix="swim-bench-")
        # 127.X.Y.Z: X for this run, Y.Z for the agents, each used once, so that no late packet finds a stranger.
        self.net, self.next_host = random.randrange(64, 255), 0

    def ip(self):
        self.next_host += 1
        if self.next_host > 250 * 250:
            raise Unusable("out of loopback addresses: fewer runs, please")
        return f"127.{self.net}.{self.next_host // 250}.{self.next_host % 250 + 1}"

    def start(self, kind, *arguments):
        agent = Agent(self, kind, self.ip(), arguments)
        self.agents.append(agent)
        return agent

    def kill(self, agent):
        self.agents.remove(agent)
        agent.kill()

    def kill_all(self):
        while self.agents:
            self.agents.pop().kill()

    def note(self, figure, kind, value):
        self.samples[figure][kind].append(value)
        unit, _ = FIGURES[figure]
        progress(f"  {figure}, {kind}: {shown(value)} {unit}")

    # The figures.

    def binaries(self):
        strip = shutil.which("strip")
        for kind, program in self.programs.items():
            copy = os.path.join(self.directory, "stripped")
            if not strip or subprocess.run([strip, "-o", copy, program], stderr=subprocess.DEVNULL).returncode != 0:
                copy = program
            self.note("binary, stripped", kind, os.path.getsize(copy) / 1e6)

    def start_up(self, kind):
        agent = self.start(kind)
        self.note("start to RPC answers", kind, agent.wait_for_rpc() * 1e3)
        self.kill(agent)

    def cluster(self, kind, size, recording=False):
        """Starts a cluster and waits until all see all. The agents, and seconds from the second's and the last's start."""
        record = lambda: [f"-record=trace-{self.next_host}"] if recording else []
        first = self.start(kind, *record())
        first.wait_for_rpc()
        agents = [first] + [self.start(kind, f"-join={first.ip}:{PORT}", *record()) for _ in range(size - 1)]
        for agent in agents[1:]:
            agent.wait_for_rpc()
        self.until(agents, lambda agent: agent.rpc.serf("members") == size)
        done = time.perf_counter()
        for agent in agents:
            if (alive := agent.rpc.alive()) != size:
                raise Unusable(f"{kind}: {agent.name} counts {size} members, but only {alive} are alive")
        return agents, done - agents[1].started, done - agents[-1].started

    def until(self, agents, reached, patience=PATIENCE):
        deadline, waiting = time.perf_counter() + patience, list(agents)
        while waiting:
            # Their answers cost time that they need themselves: stop at the first that is not there yet.
            while waiting and reached(waiting[-1]):
                waiting.pop()
            if time.perf_counter() > deadline:
                raise Unusable(f"{len(waiting)} of {len(agents)} agents are not there after {patience:.0f} s")
            if waiting:
                time.sleep(0.002)

    def small(self, kind, size):
        _, seconds, _ = self.cluster(kind, size)
        self.note(f"{size} members, start to all see {size}", kind, seconds * 1e3)
        self.kill_all()

    def thirty(self, kind):
        agents, seconds, last = self.cluster(kind, 30)
        self.note("30 members, start to all see 30", kind, seconds * 1e3)
        self.note("30 members, last start to all", kind, last * 1e3)
        time.sleep(2)
        for number in range(self.options.events):
            # Not in step with anybody's ticks.
            time.sleep(1 + random.random())
            self.note("user event to the last of 30", kind, self.user_event(agents, number) * 1e3)
        time.sleep(1 + random.random())
        victim = random.choice(agents[1:])
        agents.remove(victim)
        killed = time.perf_counter()
        self.kill(victim)
        self.until(agents, lambda agent: agent.rpc.serf("failed") == 1)
        self.note("SIGKILL to failed at all of 30", kind, time.perf_counter() - killed)
        self.kill_all()

    def user_event(self, agents, number):
        name = f"bench-{number}"
        with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
            for agent in agents:
                stream = Rpc((agent.ip, RPC_PORT))
                stack.callback(stream.close)
                stream.call("stream", {"Type": f"user:{name}"})
                selector.register(stream.socket, selectors.EVENT_READ, stream)
            agents[0].rpc.call("event", {"Name": name, "Payload": b"payload", "Coalesce": False})
            accepted, waiting = time.perf_counter(), len(agents)
            while waiting:
                ready = selector.select(PATIENCE)
                if not ready:
                    raise Unusable(f"{waiting} agents never saw a user event")
                for key, _ in ready:
                    if any("Name" in value for value in key.data.receive()):
                        selector.unregister(key.data.socket)
                        waiting -= 1
            return time.perf_counter() - accepted

    def idle(self):
        """All kinds in the same minute: what else the machine does hits them alike."""
        clusters = {kind: self.cluster(kind, 10)[0] for kind in KINDS}
        recorders = self.cluster("swim", 10, recording=True)[0]
        for agent in self.agents:
            agent.rpc.close()
            agent.rpc = None
        time.sleep(self.options.settle)
        udp = Udp(bytes([127, self.net]))
        try:
            before = {agent: agent.cpu_seconds() for agent in self.agents}
            started = time.perf_counter()
            time.sleep(self.options.idle)
            seconds = time.perf_counter() - started
            used = lambda agents: statistics.mean(agent.cpu_seconds() - before[agent] for agent in agents)
            self.note("idle of 10: CPU for recording", "swim", 100 * (used(recorders) / used(clusters["swim"]) - 1))
            for kind, agents in clusters.items():
                cpu = used(agents)
                self.note("idle of 10: CPU", kind, cpu * 60 / seconds)
                mean = lambda name, field: statistics.mean(agent.kibibytes(name, field) for agent in agents) / 1024
                self.note("idle of 10: resident memory", kind, mean("status", "VmRSS"))
                self.note("idle of 10: proportional share", kind, mean("smaps_rollup", "Pss"))
                if sent := udp.sent(agent.ip for agent in agents):
                    self.note("idle of 10: UDP packets sent", kind, sent[0] / len(agents) / seconds)
                    self.note("idle of 10: UDP sent", kind, sent[1] / len(agents) / seconds)
        finally:
            udp.stop()
        self.kill_all()

    def large(self, kind, size):
        agents, seconds, _ = self.cluster(kind, size)
        self.note(f"{size} members, start to all see {size}", kind, seconds * 1e3)
        memory = sum(agent.kibibytes("smaps_rollup", "Pss") for agent in agents)
        self.note(f"{size} members, memory of all", kind, memory / 1024)
        self.kill_all()

    def run(self):
        options = self.options
        chosen = lambda part: not options.only or part in options.only
        if chosen("binary"):
            self.binaries()
        if chosen("start"):
            in_turn(options.starts, self.start_up)
        if chosen("converge"):
            for size in (2, 10):
                in_turn(options.runs, lambda kind: self.small(kind, size))
        if chosen("thirty"):
            in_turn(options.runs, self.thirty)
        if chosen("idle"):
            for _ in range(options.idle_runs):
                self.idle()
        if options.large:
            in_turn(1, lambda kind: self.large(kind, 200))
            self.large("swim", 500)


def in_turn(runs, measure):
    """A run of each kind, then the next of each: what else the machine does meanwhile hits all alike."""
    for _ in range(runs):
        for kind in random.sample(list(KINDS), len(KINDS)):
            measure(kind)


def progress(text):
    print(text, file=sys.stderr, flush=True)


def shown(value):
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def verdict(target, median, serf):
    """Whether a target is met: as it stands, or, for a time, as a ratio to Serf's figure of this run."""
    limit, reference = target
    if median <= limit:
        return "yes"
    if reference and serf and median / serf <= limit / reference:
        return "by ratio"
    return "no"


def summary(samples):
    """One row for each figure that was measured."""
    rows = []
    for figure, kinds in samples.items():
        unit, targets = FIGURES[figure]
        medians = {kind: statistics.median(values) for kind, values in kinds.items() if values}
        if not medians:
            continue
        row = {"figure": figure, "unit": unit, "kinds": {}}
        for kind, median in medians.items():
            cell = {"median": median, "min": min(kinds[kind]), "max": max(kinds[kind]), "samples": kinds[kind]}
            serf = medians.get("serf")
            if kind != "serf" and serf:
                cell["ratio"] = median / serf
            if kind in targets:
                limit, reference = targets[kind]
                cell["target"] = limit
                cell["target_ratio"] = reference and limit / reference
                cell["met"] = verdict(targets[kind], median, serf)
            row["kinds"][kind] = cell
        rows.append(row)
    return rows


def table(rows):
    head = ["Figure", *KINDS, "ratio", "target", "met"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        cells, kinds = [f"{row['figure']}, {row['unit']}"], row["kinds"]
        for kind in KINDS:
            cell = kinds.get(kind)
            spread = cell and len(cell["samples"]) > 1
            cells.append("" if not cell else shown(cell["median"]) + (f" ({shown(cell['min'])}–{shown(cell['max'])})" if spread else ""))
        ours = [kinds.get(kind, {}) for kind in KINDS if kind != "serf"]
        joined = lambda key, form: " / ".join(form(cell[key]) if key in cell else "–" for cell in ours)
        cells.append(joined("ratio", lambda ratio: f"{ratio:.2f}") if any("ratio" in cell for cell in ours) else "")
        cells.append(joined("target", lambda limit: f"≤ {limit:g}") if any("target" in cell for cell in ours) else "")
        cells.append(joined("met", str) if any("met" in cell for cell in ours) else "")
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def machine(programs):
    version = lambda program: subprocess.run([program, "version"], capture_output=True, text=True).stdout.split("\n")[0]
    model = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %Z"),
        "cpu": model[0] if model else platform.machine(),
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "serf": version(programs["serf"]),
        "swim": version(programs["swim"]),
    }


def find_programs(options):
    serf = shutil.which(options.serf)
    if not serf:
        raise Unusable(f"there is no {options.serf!r} in the PATH. Debian, Ubuntu: apt-get install serf; or name one: --serf=PATH")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    swim = pathlib.Path(options.swim) if options.swim else target / "dist" / "swim"
    if not os.access(swim, os.X_OK):
        raise Unusable(f"there is no {swim}. Build it: cargo build-dist; or name one: --swim=PATH")
    return {"serf": serf, "swim --wire serf": str(swim.resolve()), "swim": str(swim.resolve())}


def parse(arguments):
    parts = ["binary", "start", "converge", "thirty", "idle"]
    parser = argparse.ArgumentParser(description="Measures swim beside serf; bench/README.md explains each figure.")
    parser.add_argument("--quick", action="store_true", help="two runs and a short idle time: to see whether it works, in a minute or two")
    parser.add_argument("--runs", type=int, help="clusters of each size and kind (default 5)")
    parser.add_argument("--only", action="append", choices=parts, help="only this part; may be given several times")
    parser.add_argument("--large", action="store_true", help="also 200 agents of each kind, and 500 of swim: takes 2 GiB of memory")
    parser.add_argument("--json", metavar="FILE", help="write everything measured to this file as well; - for standard output, in place of the table")
    parser.add_argument("--serf", default="serf", metavar="PATH", help="the serf to measure (default: the one in the PATH)")
    parser.add_argument("--swim", metavar="PATH", help="the swim to measure (default: that of cargo build-dist)")
    options = parser.parse_args(arguments)
    if options.runs is not None and options.runs < 1:
        parser.error("--runs must be at least 1")
    options.runs = options.runs or (2 if options.quick else 5)
    options.events = 2 if options.quick else 5
    options.starts = 5 if options.quick else 6 * options.runs
    options.idle_runs = 1 if options.quick else 3
    options.settle, options.idle = (3, 10) if options.quick else (15, 60)
    if options.only == []:
        options.only = None
    return options


def main(arguments):
    options = parse(arguments)
    if sys.platform != "linux":
        raise Unusable("this needs Linux: /proc, and all of 127.0.0.0/8 on the loopback interface")
    programs = find_programs(options)

    def end(number, _):
        signal.signal(number, signal.SIG_IGN)  # Once is enough: what follows must not be cut short.
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    about = machine(programs)
    bench = Bench(programs, options)
    try:
        bench.run()
    finally:
        bench.kill_all()
        shutil.rmtree(bench.directory, ignore_errors=True)
    rows = summary(bench.samples)
    document = json.dumps({"machine": about, "figures": rows}, indent=2)
    if options.json == "-":
        print(document)
        return
    if options.json:
        pathlib.Path(options.json).write_text(document + "\n")
    print("{date}; {cpus} x {cpu}; Linux {kernel}; load {load_before:.2f}; serf {serf}; swim {swim}".format(**about))
    print("Medians (smallest–largest). Ratio to serf, target and whether it is met: swim --wire serf / swim.\n")
    print(table(rows))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Unusable as error:
        sys.exit(f"bench/agent.py: {error}")
    except KeyboardInterrupt:
        sys.exit("bench/agent.py: interrupted; its agents have been ended")
