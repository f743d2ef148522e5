#!/usr/bin/env python3
"""Counts the instructions of the core's hot paths and compares them with the committed baseline.

Fails, with both figures, if one takes more than a few per cent more than it did. Needs valgrind and cargo. The same
build takes the same instructions each time, whatever else the machine does; another compiler, or a processor for which
libc chooses other routines, moves them a little. See bench/README.md.
"""

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "bench" / "instructions.json"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--update", action="store_true", help="write the baseline instead of comparing with it")
    arguments.add_argument("--tolerance", type=float, default=3.0, metavar="PER_CENT", help="how much more is let pass (3)")
    arguments.add_argument("--jobs", type=int, default=2, help="cases counted at once (2)")
    options = arguments.parse_args()

    program = build()
    cases = [line.split() for line in run([program, "--list"]).stdout.splitlines()]
    with ThreadPoolExecutor(options.jobs) as pool:
        counts = pool.map(lambda case: count(program, case[0]) / int(case[2]), cases)
        measured = {name: {"per": unit, "instructions": round(per, 1)} for (name, unit, _), per in zip(cases, counts)}

    if options.update:
        baseline = {"compiler": compiler(), "machine": platform.machine(), "cases": measured}
        BASELINE.write_text(json.dumps(baseline, indent=2) + "\n")
        print(f"wrote {BASELINE.relative_to(ROOT)}")
        return 0
    return compare(json.loads(BASELINE.read_text()), measured, options.tolerance)


def compare(baseline, measured, tolerance):
    if baseline["machine"] != platform.machine():
        sys.exit(f"the baseline is of {baseline['machine']}, this is {platform.machine()}: nothing to compare with")
    expected = baseline["cases"]
    if expected.keys() != measured.keys():
        sys.exit(f"the baseline has other cases, run {Path(__file__).name} --update: {expected.keys() ^ measured.keys()}")
    slower, faster = [], []
    for name, case in measured.items():
        before, now = expected[name]["instructions"], case["instructions"]
        change = (now / before - 1) * 100
        line = f"{name}: {now:,.1f} instructions per {case['per']}, {before:,.1f} in the baseline, {change:+.1f} %"
        print(line)
        if change > tolerance:
            slower.append(line)
        elif change < -tolerance:
            faster.append(line)
    if faster:
        print(f"\nLess than in the baseline: commit a new one ({Path(__file__).name} --update), or it will guard the old figures.")
    if not slower:
        return 0
    print(f"\nMore than {tolerance:g} % over the baseline:", file=sys.stderr)
    for line in slower:
        print(f"  {line}", file=sys.stderr)
    if baseline["compiler"] != compiler():
        print(f"The baseline was counted with {baseline['compiler']}, this is {compiler()}.", file=sys.stderr)
    return 1


def build():
    """The benchmark's program, built as `cargo bench` does."""
    command = ["cargo", "bench", "--quiet", "-p", "swim-core", "--bench", "instructions", "--no-run", "--message-format=json"]
    for line in run(command).stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "instructions":
            return message["executable"]
    sys.exit("cargo names no program")


def count(program, case):
    """Instructions inside of the program's function `measured`."""
    with tempfile.TemporaryDirectory() as directory:
        done = run([
            "valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/out",
            "--collect-atstart=no", "--toggle-collect=instructions::measured", program, case,
        ])
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if not collected or int(collected[1]) == 0:
        sys.exit(f"callgrind collected nothing for {case}:\n{done.stderr}")
    return int(collected[1])


def compiler():
    return run(["rustc", "--version"]).stdout.split(" (")[0].strip()


def run(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done


if __name__ == "__main__":
    sys.exit(main())
