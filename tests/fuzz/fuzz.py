"""Mutants through every hot entry point: fuzz.py [--cases N | --seconds N] [--seed S] [--only TARGET[:CASE]] [--note FILE]

--cases  per target; about a quarter each are cut or have one bit flipped, in turn at every place
--seconds  for each target, instead of a number of cases
--only   one target, or one case of it, as a finding names it
--note   a file with the current target and case, in case the process dies
Exit status 1 is a finding. Under AddressSanitizer (tools/sanitize) it looks for leaks, too.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import traceback
from collections.abc import Callable
from math import inf
from pathlib import Path
from random import Random
from time import monotonic, perf_counter

from fuzz_mutations import SHARES, Mutations, Target
from fuzz_targets import targets

from capture_agent.build import flavour
from capture_agent.records import datagram as datagrams

LEAK_CASES = 2000
LEAK_BYTES = 16_384  # less than one object for each of ten cases


def run_case(target: Target, mutations: Mutations, seed: int, n: int) -> None:
    sample, data = mutations.case(n)
    target.run(sample, data, Random(seed << 40 | 1 << 39 | n))


def run_cases(
    name: str, target: Target, seed: int, cases: range, note: int | None, seconds: float = inf
) -> tuple[int, bool]:
    """How many cases passed, and whether one failed: it stops there, or after this many seconds."""
    mutations = target.mutations(seed)
    until = monotonic() + seconds
    for done, n in enumerate(cases):
        if monotonic() > until:
            return done, False
        if note is not None:
            os.pwrite(note, f"{name}:{n} of seed {seed}\n".encode(), 0)
        try:
            run_case(target, mutations, seed, n)
        except Exception:
            traceback.print_exc()
            sample, data = mutations.case(n)
            print(f"FINDING: {name}:{n} of seed {seed}: sample {sample} as {data.hex()}", flush=True)
            return done, True
    return len(cases), False


def allocated() -> Callable[[], int] | None:
    """How many bytes are allocated, by AddressSanitizer's count; None without it."""
    try:
        count = ctypes.CDLL(None).__sanitizer_get_current_allocated_bytes
    except AttributeError:
        return None
    count.restype = ctypes.c_size_t
    return count  # type: ignore[no-any-return]


def leaked(target: Target, seed: int, cases: int) -> int:
    """Bytes by which the heap grows between the second and third run of the same cases."""
    count = allocated()
    if count is None:
        return 0
    sizes = []
    for _ in range(3):
        run_cases("leak check", target, seed, range(min(cases, LEAK_CASES)), None)
        gc.collect()
        sizes.append(count())
    return sizes[2] - sizes[1]


def coverage(mutations: Mutations, cases: int) -> str:
    cut, flipped = (cases + SHARES - 1) // SHARES, (cases + SHARES - 2) // SHARES
    cuts, bits = mutations.size, 8 * mutations.size
    return f"{min(cut, cuts)} of {cuts} cuts, {min(flipped, bits)} of {bits} bits"


def fuzz(names: list[str], cases: int, seed: int, note: int | None, seconds: float = inf) -> int:
    findings = total = 0
    with targets() as known:
        for wanted in names or known:
            name, _, only = wanted.partition(":")
            began = perf_counter()
            numbers = range(int(only), int(only) + 1) if only else range(cases)
            done, found = run_cases(name, known[name], seed, numbers, note, seconds)
            findings += found
            total += done
            spent = perf_counter() - began
            growth = 0 if only or found else leaked(known[name], seed, done)
            if growth > LEAK_BYTES:
                findings += 1
                print(f"FINDING: {name}: {growth} bytes leaked by {min(cases, LEAK_CASES)} cases of seed {seed}")
            covered = coverage(known[name].mutations(seed), done)
            print(f"{name:11} {done:9,} cases {spent:7.1f} s  heap {growth:+6} bytes  {covered}", flush=True)
    print(f"{total:,} cases of seed {seed}, {findings} findings")
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutants through every hot entry point.")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=inf)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], metavar="TARGET[:CASE]")
    parser.add_argument("--note", type=Path)
    options = parser.parse_args()
    print(f"the {flavour()} build, {datagrams.__file__}", flush=True)
    note = os.open(options.note, os.O_RDWR | os.O_CREAT | os.O_TRUNC) if options.note else None
    cases = options.cases if options.seconds == inf else sys.maxsize
    return bool(fuzz(options.only, cases, options.seed, note, options.seconds))


if __name__ == "__main__":
    sys.exit(main())
