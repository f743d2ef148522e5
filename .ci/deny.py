#!/usr/bin/env python3
"""Licences, sources and wildcards of all dependencies, as deny.toml allows them.

What `cargo deny check bans licenses sources` says of them, for machines that cannot have it: it takes longer to build
than the gate may take. It reads what the packages declare, not the texts of their licences: run cargo-deny itself when
dependencies change.
"""
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def is_allowed(expression, allowed):
    """Whether an SPDX expression can be satisfied with `allowed`. Of old packages the slash is an OR."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    at = 0

    def peek():
        return tokens[at] if at < len(tokens) else None

    def take():
        nonlocal at
        at += 1
        return tokens[at - 1] if at <= len(tokens) else None

    def either():
        good = both()
        while peek() == "OR":
            take()
            good = both() or good
        return good

    def both():
        good = one()
        while peek() == "AND":
            take()
            good = one() and good
        return good

    def one():
        name = take()
        if name == "(":
            good = either()
            if take() != ")":
                raise ValueError(f"no end of a parenthesis in {expression!r}")
            return good
        if name in (None, ")", "AND", "OR", "WITH"):
            raise ValueError(f"no licence where one must be in {expression!r}")
        if peek() == "WITH":
            take()
            name = f"{name} WITH {take()}"
        return name in allowed

    good = either()
    if at != len(tokens):
        raise ValueError(f"more than an expression in {expression!r}")
    return good


def faults(metadata, rules):
    """One line for each package that the rules do not let in."""
    allowed = set(rules["licenses"]["allow"])
    registries = rules["sources"]["allow-registry"]
    for package in metadata["packages"]:
        name = f"{package['name']} {package['version']}"
        try:
            if not is_allowed(package["license"] or "", allowed):
                yield f"{name}: its licence, {package['license']}, is not among those of deny.toml"
        except ValueError as error:
            yield f"{name}: {error}"
        source = package["source"]
        if source is None:  # It is ours.
            for dependency in package["dependencies"]:
                if dependency["req"] == "*" and "path" not in dependency:
                    yield f"{name}: takes any version of {dependency['name']}"
        elif source.removeprefix("registry+") not in registries:
            yield f"{name}: comes from {source}, which deny.toml does not name"


def self_test():
    """That it can find something."""
    allowed = {"MIT", "Apache-2.0 WITH LLVM-exception"}
    for expression, expected in [
        ("MIT", True), ("GPL-3.0", False), ("GPL-3.0 OR MIT", True), ("GPL-3.0 AND MIT", False), ("MIT/GPL-3.0", True),
        ("Apache-2.0 WITH LLVM-exception", True), ("Apache-2.0", False), ("(MIT OR X) AND (Y OR MIT)", True),
        ("(MIT OR X) AND Y", False), ("X OR MIT AND Y", False),
    ]:
        if is_allowed(expression, allowed) != expected:
            sys.exit(f"deny: {expression!r} must be {expected}")
    for expression in ("", "MIT OR", "(MIT", "MIT MIT", "AND"):
        try:
            is_allowed(expression, allowed)
        except ValueError:
            continue
        sys.exit(f"deny: {expression!r} must be refused")
    rules = {"licenses": {"allow": ["MIT"]}, "sources": {"allow-registry": ["r"]}}
    ours = {"name": "a", "version": "1", "license": "MIT", "source": None,
            "dependencies": [{"name": "b", "req": "*"}, {"name": "c", "req": "*", "path": "c"}]}
    other = {"name": "b", "version": "1", "license": "X", "source": "git+b", "dependencies": []}
    found = list(faults({"packages": [ours, other]}, rules))
    if len(found) != 3:
        sys.exit(f"deny: three faults must be found, and not {found}")


def main():
    self_test()
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    # What ships. bench/ has the peers to measure, and fuzz/ libFuzzer, under licences of their own; neither is given away.
    call = ["cargo", "metadata", "--format-version=1", "--locked", "--all-features", "--manifest-path", ROOT / "Cargo.toml"]
    metadata = json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE).stdout)
    found = sorted(faults(metadata, rules))
    if found:
        sys.exit("\n".join(found))
    print(f"deny: {len(metadata['packages'])} packages, all of them allowed")


if __name__ == "__main__":
    main()
