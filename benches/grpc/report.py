#!/usr/bin/env python3
"""Writes the figures of `benches/grpc` into the generated section of docs/performance.md.

    report.py FIGURES PAGE    FIGURES are the JSON lines that `--out` appends; of each part the last full run counts
    report.py --self-test     checks this program

Nothing but the standard library of Python 3.11.
"""

import json
import pathlib
import sys

BEGIN = "<!-- figures: written by `just bench` -->"
END = "<!-- end of figures -->"
# Parts in the order of the page, and what each is about.
PARTS = {
    "score": "Score",
    "allocate": "Adjusted scores and slates",
    "tail": "Tails",
    "policy": "Policies that change",
    "import": "Import",
    "load": "Loading",
    "start": "Start",
    "scale": "Scale",
    "redis": "Redis",
    "settings": "Settings of the runtime and the transport",
}
BARS = ["what", "figure", "gate", "goal", "held"]


def last_runs(lines):
    """The lines of the last run of each part; a short run counts only where there is no full one.

    A run against the echo server is not about Trustflow.
    """
    lines = [line for line in lines if line["real"]]
    last = {}
    for line in lines:
        last[line["part"]] = max(rank(line), last.get(line["part"], rank(line)))
    return [line for line in lines if rank(line) == last[line["part"]]]


def rank(line):
    """What orders the runs of a part."""
    return (not line["quick"], line["run"])


def table(head, rows):
    """Lines of a markdown table; figures stand right."""
    numeric = [all(cell[:1].isdigit() for cell in column) for column in zip(*rows)]
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join("---:" if right else "---" for right in numeric) + "|"
    yield from ("| " + " | ".join(row) + " |" for row in rows)


def origin(line):
    """Where and when a run was made, as one sentence."""
    run = "a short run (`--quick`), which says little" if line["quick"] else "a full run"
    return f"{line['machine']}; commit {line['commit']}, {line['build']}, {line['day']}; {run}"


def grouped(lines):
    """Rows by title, in the order in which they came."""
    tables = {}
    for line in lines:
        if line["kind"] == "row":
            tables.setdefault(line["title"], (line["head"], []))[1].append(line["cells"])
    return tables


def section(lines):
    """The generated section."""
    lines = last_runs(lines)
    parts = [(part, [line for line in lines if line["part"] == part]) for part in PARTS]
    parts = [(part, of_part) for part, of_part in parts if of_part]
    yield from ["", "### What is promised", ""]
    bars = [line["cells"] for _, of_part in parts for line in of_part if line["kind"] == "bar"]
    if bars:
        yield from table(BARS, bars)
    origins = {}
    for part, of_part in parts:
        origins.setdefault(origin(of_part[0]), []).append(part)
    yield ""
    for text, names in origins.items():
        where = "All parts" if len(origins) == 1 else ", ".join(names)
        yield f"{where}: {text}."
        yield ""
    for part, of_part in parts:
        yield from [f"### {PARTS[part]}", ""]
        for title, (head, rows) in grouped(of_part).items():
            yield from [f"{title}:", "", *table(head, rows), ""]
        yield from (f"{line['text']}.\n" for line in of_part if line["kind"] == "note")


def replaced(page, lines):
    """The page with its generated section written anew."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"report: the page has no section between `{BEGIN}` and `{END}`")
    return before + BEGIN + "\n" + "\n".join(section(lines)).rstrip() + "\n\n" + END + after


def self_test():
    """A part that ran several times shows its last full run; text around the section stays."""
    run = {"machine": "2 cores", "commit": "abc", "build": "dist profile", "day": "2026-01-01", "quick": False}
    row = {"kind": "row", "title": "CPU", "head": ["targets", "us"]}
    lines = [
        {**run, **row, "part": "score", "run": 1, "real": True, "cells": ["200", "30.00"]},
        {**run, **row, "part": "score", "run": 2, "real": True, "cells": ["200", "20.00"]},
        {**run, **row, "part": "score", "run": 3, "real": True, "quick": True, "cells": ["200", "40.00"]},
        {**run, **row, "part": "score", "run": 4, "real": False, "cells": ["200", "10.00"]},
        {**run, "kind": "bar", "part": "redis", "run": 1, "real": True, "cells": ["MGET", "7 x", "≥ 6 x", "-", "yes"]},
        {**run, "kind": "note", "part": "redis", "run": 1, "real": True, "text": "SKIPPED: no server"},
    ]
    page = replaced(f"# Page\n\n{BEGIN}\nold\n{END}\n\nText.\n", lines)
    assert page.startswith(f"# Page\n\n{BEGIN}\n\n### What is promised\n\n| what | figure |"), page
    assert page.endswith(f"SKIPPED: no server.\n\n{END}\n\nText.\n"), page
    assert "| 200 | 20.00 |" in page and not any(old in page for old in ("30.00", "40.00", "10.00", "old")), page
    assert replaced(page, lines) == page, "writing twice changes nothing"
    print("report: self-test passed")


def main():
    """Tests itself, or writes the page."""
    match sys.argv[1:]:
        case ["--self-test"]:
            self_test()
        case [figures, path]:
            page = pathlib.Path(path)
            text = pathlib.Path(figures).read_text(encoding="utf-8")
            lines = [json.loads(line) for line in text.splitlines()]
            page.write_text(replaced(page.read_text(encoding="utf-8"), lines), encoding="utf-8")
            print(f"report: {page} is written")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
