#!/usr/bin/env python3
"""Judges reports that ghz wrote with --format json: `gate.py REPORT.json...`, or `gate.py --self-test`.

ghz itself exits with 0 when calls fail. This gate fails (exit 1) unless every call of every report answered OK, and
prints rate and percentiles of each report. Percentiles are taken from `details`, because ghz stops at the 99th, and
leave out the first twentieth of the calls, which warms connections up; their statuses count.
"""

import contextlib
import io
import json
import sys

PERCENTILES = (50, 95, 99, 99.9)
WARM_UP = 20  # one call in so many


def percentile(ordered, percent):
    """The smallest value that at least `percent` of all are not above (nearest rank), in exact arithmetic."""
    rank = -(-len(ordered) * round(percent * 10) // 1_000)
    return ordered[max(rank, 1) - 1]


def judge(report):
    """What is wrong with a report: a list of sentences, empty when all is well."""
    statuses = report.get("statusCodeDistribution") or {}
    count = report.get("count") or 0
    problems = []
    if count == 0:
        problems.append("no call was counted")
    problems += [f"{number} calls answered {status}" for status, number in sorted(statuses.items()) if status != "OK"]
    problems += [f"{number} x {error}" for error, number in sorted((report.get("errorDistribution") or {}).items())]
    if statuses.get("OK", 0) != count:
        problems.append(f"{statuses.get('OK', 0)} of {count} calls answered OK")
    if report.get("endReason", "normal") != "normal":
        problems.append(f"the run ended early: {report['endReason']}")
    return problems


def row(name, report):
    """Name, calls, calls a second and percentiles in milliseconds."""
    details = report.get("details") or []
    details = details[len(details) // WARM_UP :]
    ordered = sorted(detail["latency"] for detail in details if detail.get("status") == "OK")
    cells = [name, str(report.get("count") or 0), f"{report.get('rps') or 0:.0f}"]
    cells += [f"{percentile(ordered, percent) / 1e6:.3f}" if ordered else "-" for percent in PERCENTILES]
    return cells


def table(rows):
    head = ["scenario", "calls", "rps"] + [f"p{percent:g} ms" for percent in PERCENTILES]
    rows = [head, *rows]
    widths = [max(len(line[column]) for line in rows) for column in range(len(head))]
    lines = []
    for line in rows:
        cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        lines.append("  ".join(cells))
    return "\n".join(lines)


def main(paths):
    rows, failures = [], []
    for path in paths:
        name = path.rsplit("/", 1)[-1].removesuffix(".json")
        try:
            with open(path, encoding="utf-8") as file:
                report = json.load(file)
        except (OSError, ValueError) as error:
            failures.append(f"{name}: unreadable: {error}")
            continue
        rows.append(row(report.get("name") or name, report))
        failures += [f"{name}: {problem}" for problem in judge(report)]
    print(table(rows))
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures or not paths else 0


def self_test():
    assert [percentile(list(range(1, 1_001)), percent) for percent in PERCENTILES] == [500, 950, 990, 999]
    assert [percentile([7], percent) for percent in PERCENTILES] == [7, 7, 7, 7]
    assert percentile([1, 2], 50) == 1 and percentile([1, 2], 95) == 2
    good = {
        "name": "good",
        "count": 2,
        "rps": 10.4,
        "endReason": "normal",
        "statusCodeDistribution": {"OK": 2},
        "errorDistribution": {},
        "details": [{"latency": 2_000_000, "status": "OK"}, {"latency": 1_000_000, "status": "OK"}],
    }
    assert judge(good) == []
    assert row("good", good) == ["good", "2", "10", "1.000", "2.000", "2.000", "2.000"]
    cold, warm = {"latency": 9_000_000, "status": "OK"}, {"latency": 1_000_000, "status": "OK"}
    assert row("cold", {"details": [cold] + [warm] * 19})[-1] == "1.000"
    assert judge({**good, "statusCodeDistribution": {"OK": 1, "Unavailable": 1}})
    assert judge({**good, "statusCodeDistribution": {"OK": 1}}), "a call went missing"
    assert judge({**good, "errorDistribution": {"boom": 1}})
    assert judge({**good, "endReason": "timeout"})
    assert judge({}) and judge({**good, "count": 0, "statusCodeDistribution": {}})
    assert row("empty", {})[3:] == ["-"] * 4
    assert table([row("good", good)]).splitlines()[1].startswith("good")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        assert main([]) == 1 and main(["does-not-exist.json"]) == 1
    assert "FAILED does-not-exist" in said.getvalue()
    print("gate.py: self-test passed")


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    else:
        sys.exit(main(sys.argv[1:]))
