#!/usr/bin/env python3
"""Compares the instruction counts of `benches/instructions.rs` with `benches/instructions.toml`.

Exit code 1 when a count grew by more than 5 %. Counts depend on the compiler: under another rustc than that of the
baseline a difference is only a warning. `--update` writes the counts as the new baseline. Needs cargo, valgrind and
gungraun-runner (see instructions.rs); nothing but the standard library of Python 3.11.
"""

import json
import pathlib
import subprocess
import sys
import tomllib

LIMIT = 1.05
ROOT = pathlib.Path(__file__).resolve().parent.parent
BASELINE = ROOT / "benches" / "instructions.toml"
COMMAND = ["cargo", "bench", "--quiet", "--bench", "instructions", "--", "--output-format=json"]


def measured():
    """Instructions by benchmark."""
    run = subprocess.run(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"instruction gate: `{' '.join(COMMAND)}` failed")
    counts = {}
    text, decoder = run.stdout.strip(), json.JSONDecoder()
    while text:
        summary, end = decoder.raw_decode(text)
        text = text[end:].lstrip()
        counts[summary["function_name"]] = instructions(summary)
    if not counts:
        sys.exit("instruction gate: nothing was counted")
    return counts


def instructions(summary):
    """The count of a summary; that of the run before may stand beside it."""
    values = summary["profiles"][0]["data"]["total"]["metrics"]["Ir"]["values"]
    return values["new"]


def rustc():
    """The version line of the compiler that cargo uses here."""
    return subprocess.run(["rustc", "--version"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def write(counts):
    """Writes the counts as the baseline."""
    lines = [
        "# Instructions counted by benches/instructions.rs. Written by `python3 benches/instruction_gate.py --update`.",
        f'rustc = "{rustc()}"',
        "",
        "[counts]",
        *(f"{name} = {count}" for name, count in counts.items()),
    ]
    BASELINE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def compare(counts):
    """Prints a line per benchmark; answers those that are missing or grew too much."""
    baseline = tomllib.loads(BASELINE.read_text(encoding="utf-8"))
    failed = sorted(counts.keys() ^ baseline["counts"].keys())
    for name in failed:
        print(f"{name:24} is not in both the benchmark and the baseline: run with --update")
    for name, before in baseline["counts"].items():
        if name not in counts:
            continue
        ratio = counts[name] / before
        grew = ratio > LIMIT
        note = "FAILED" if grew else "run with --update to keep the gain" if ratio < 2 - LIMIT else "ok"
        print(f"{name:24} {before:>12,} -> {counts[name]:>12,} instructions ({ratio - 1:+.2%}) {note}")
        failed += [name] if grew else []
    if failed and rustc() != baseline["rustc"]:
        print(f"\nWARNING: NOT GATED: the baseline is of {baseline['rustc']}, this is {rustc()}.")
        print("WARNING: counts depend on the compiler: run with --update under the new one.\n")
        return []
    return failed


def main():
    """Compares, or with --update writes."""
    if sys.argv[1:] not in ([], ["--update"]):
        sys.exit(__doc__)
    counts = measured()
    if sys.argv[1:]:
        write(counts)
        return
    failed = compare(counts)
    if failed:
        sys.exit(f"instruction gate: more than {LIMIT - 1:.0%} above the baseline, or without one: {', '.join(failed)}")


if __name__ == "__main__":
    main()
