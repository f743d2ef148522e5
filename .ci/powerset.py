#!/usr/bin/env python3
"""Lints every crate of the workspace with every combination of its features.

The gate tries those of swim-core one by one; this takes a few minutes more. It asks for nothing but cargo.
"""

import itertools
import json
import subprocess
import sys


def crates():
    command = ["cargo", "metadata", "--no-deps", "--locked", "--format-version", "1"]
    described = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    for package in described["packages"]:
        yield package["name"], sorted(set(package["features"]) - {"default"})


def main():
    failed = []
    for name, features in crates():
        for size in range(len(features) + 1):
            for chosen in itertools.combinations(features, size):
                title = f"{name} with {', '.join(chosen) or 'none of its features'}"
                print(f"=== {title}", flush=True)
                command = ["cargo", "clippy", "--quiet", "--locked", "--package", name, "--no-default-features"]
                command += ["--features", ",".join(chosen), "--", "--deny", "warnings"]
                if subprocess.run(command).returncode != 0:
                    failed.append(title)
    for title in failed:
        print(f"FAILED: {title}", file=sys.stderr)
    sys.exit(bool(failed))


main()
