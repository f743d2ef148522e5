#!/usr/bin/env python3
"""Finds out what an idle member runs, and writes the linker script that puts it next to each other.

Linux maps a page of a program together with its neighbours, 64 KiB or more at a time. Where the functions that an agent
runs lie scattered among twice as many that it does not, all of them are resident. `swim-agent/dist/idle.ld` lists those
that run; what it does not list, or spells as a later compiler no longer does, just stays where it was.

Needs Linux, cargo and valgrind, and takes five minutes. See bench/README.md.
"""

import argparse
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import agent as bench

SCRIPT = bench.ROOT / "swim-agent" / "dist" / "idle.ld"
SIZE = 10

HEAD = """\
/* What an idle member of ten runs from its start to its leave, next to each other, so that it is resident and the rest of
   the program is not. Made by bench/layout.py: patterns of sections, each named after its function. */
SECTIONS
{
  .text.idle :
  {
"""
TAIL = """\
  }
}
INSERT BEFORE .text;
"""

# What in a symbol changes with the compiler and with what else there is. It is replaced by `*`, which matches what it replaces
# wherever that stands: the hash of a crate, how far back something is repeated, the number of an `impl` among those of
# its module, the crate that has needed this instance, and what LTO appends.
FLEETING = [
    (r"\.(llvm|cold|part)\b.*$", "*"),
    (r"Cs[0-9a-zA-Z]+_(\d+)([a-z]\w*)$", lambda crate: "*" if int(crate[1]) == len(crate[2]) else crate[0]),
    (r"(?<=Cs)[0-9a-zA-Z]+(?=_\d)", "*"),
    (r"B[0-9a-zA-Z]*_", "*"),
    (r"(?<=[MX])s[0-9a-zA-Z]*_", "*"),
    (r"\*+", "*"),
]


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idle", type=int, default=90, metavar="SECONDS", help="how long the members are idle (90)")
    options = parser.parse_args(arguments)
    program = build()
    with tempfile.TemporaryDirectory(prefix="swim-layout-") as directory:
        ran = set().union(*(functions(path, program) for path in profiles(program, pathlib.Path(directory), options.idle)))
    found = sorted(set(filter(None, map(pattern, ran))))
    if len(found) < 300:
        raise bench.Unusable(f"of {len(ran)} functions only {len(found)} have names that can be used")
    SCRIPT.write_text(HEAD + "".join(f"    *({each})\n" for each in found) + TAIL)
    # Cargo does not know that the program depends on it.
    (bench.ROOT / "swim-agent" / "src" / "main.rs").touch()
    print(f"wrote {SCRIPT.relative_to(bench.ROOT)}: {len(ran)} functions, {len(found)} patterns")


def build():
    """As `cargo build-dist` does, but with symbols and without the script: valgrind reads those of `.text` alone."""
    target = bench.ROOT / "target" / "layout"
    subprocess.run(
        ["cargo", "rustc", "--profile=dist", "--package=swim-agent", "--bin=swim", f"--target-dir={target}",
         "--config=build.rustflags=['-Csymbol-mangling-version=v0']", "--", "-Cstrip=none"],
        check=True, cwd=bench.ROOT,
    )
    return str(target / "dist" / "swim")


def profiles(program, directory, idle):
    """Of the member that all others join and of one of those, with either wire format."""
    found = []
    for kind in ("swim", "swim --wire serf"):
        paths = [directory / f"{len(found) + number}.profile" for number in range(2)]
        wrappers = [wrapper(directory, program, path) for path in paths]
        cluster = bench.Bench({kind: program}, None)
        try:
            agents = []
            for number in range(SIZE):
                cluster.programs[kind] = wrappers[number] if number < len(wrappers) else program
                agents.append(cluster.start(kind, *([f"-join={agents[0].ip}:{bench.PORT}"] if agents else [])))
                agents[-1].wait_for_rpc()
            cluster.until(agents, lambda agent: agent.rpc.serf("members") == SIZE)
            for each in agents:
                each.rpc.alive()
            time.sleep(idle)
            for each in agents[: len(wrappers)]:
                # It leaves, and valgrind writes what it has seen.
                each.process.send_signal(signal.SIGINT)
                each.process.wait(bench.PATIENCE)
        finally:
            cluster.kill_all()
        found += paths
    return found


def wrapper(directory, program, profile):
    """A program to start in place of `program`, which writes `profile`."""
    path = directory / f"{profile.stem}.sh"
    path.write_text(f'#!/bin/sh\nexec valgrind --tool=callgrind --demangle=no --callgrind-out-file={profile} {program} "$@"\n')
    path.chmod(0o755)
    return str(path)


def functions(profile, program):
    """Names of the program's own functions that ran. A name is spelled once, and is a number in brackets from then on."""
    files, names, inside, found = {}, {}, False, set()
    for line in profile.read_text().splitlines():
        entry = re.match(r"(c?)(ob|fn)=\((\d+)\)(?: (.*))?$", line)
        if not entry:
            continue
        callee, what, number, spelled = entry.groups()
        known = files if what == "ob" else names
        if spelled:
            known[number] = spelled
        if callee:
            continue
        if what == "ob":
            inside = files[number] == program
        elif inside:
            found.add(re.sub(r"'\d+$", "", names[number]))  # Without a counter of recursion.
    return found


def pattern(symbol):
    """Matches the section of a function, whatever compiler has made it; nothing for what is not of Rust."""
    if not symbol.startswith("_R"):
        return None
    for fleeting, instead in FLEETING:
        symbol = re.sub(fleeting, instead, symbol)
    return f".text.*{symbol}"


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except bench.Unusable as error:
        sys.exit(f"layout: {error}")
