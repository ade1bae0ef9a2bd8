#!/usr/bin/env python3
"""Writes data/*.json: the requests of the load scenarios, over the ids of `trustflow serve --demo`.

The ids follow the scheme of src/demo/mod.rs. The same script writes the same files: `make_data.py --check` fails
when they differ. Ids are quoted, because ghz reads numbers as float64.
"""

import json
import pathlib
import sys

DATA = pathlib.Path(__file__).resolve().parent / "data"
NAMED, FIRST_GENERATED, GENERATED = range(1, 34), 1_000, 20_000
BASE = {"LIVE_ROOM": 1_000_000, "PRODUCT": 2_000_000, "SHORT_VIDEO": 3_000_000}


class Draw:
    """A 64-bit linear congruential generator, the same in every version of Python."""

    def __init__(self, seed):
        self.state = seed

    def below(self, end):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % end


def merchant(draw):
    """Any merchant, a named one in a twentieth of the cases."""
    if draw.below(20) == 0:
        return NAMED[draw.below(len(NAMED))]
    return FIRST_GENERATED + draw.below(GENERATED)


def merchants(draw, count):
    """Different merchants."""
    found = {}
    while len(found) < count:
        found.setdefault(merchant(draw))
    return list(found)


def target(kind, owner):
    """The first item of a merchant, or the merchant."""
    return str(owner if kind == "MERCHANT" else BASE[kind] + 10 * owner)


def request(draw, scene, kind, count, base_scores=False, owners=False, columns=()):
    chosen = merchants(draw, count)
    message = {
        "scene": f"SCENE_{scene}",
        "target_kind": f"TARGET_KIND_{kind}",
        "target_ids": [target(kind, owner) for owner in chosen],
    }
    if owners:
        message["merchant_ids"] = [str(owner) for owner in chosen]
    if base_scores:
        message["base_scores"] = [(1 + draw.below(1_000)) / 1_000 for _ in chosen]
    if columns:
        message["columns"] = [f"SCORE_COLUMN_{column}" for column in columns]
    return message


def live(seed, requests, count):
    draw = Draw(seed)
    return [request(draw, "LIVE", "LIVE_ROOM", count) for _ in range(requests)]


def mixed(seed, rounds):
    """What different callers ask: every scene and kind, with and without base scores, owners and columns."""
    draw = Draw(seed)
    out = []
    for _ in range(rounds):
        out.append(request(draw, "LIVE", "LIVE_ROOM", 120, base_scores=True))
        out.append(request(draw, "LIVE", "LIVE_ROOM", 200))
        out.append(request(draw, "SHORT_VIDEO", "SHORT_VIDEO", 80, owners=True))
        out.append(request(draw, "SHORT_VIDEO", "SHORT_VIDEO", 50, base_scores=True, owners=True))
        out.append(request(draw, "IMAGE_TEXT", "PRODUCT", 40))
        out.append(request(draw, "SEARCH", "PRODUCT", 100, base_scores=True))
        out.append(request(draw, "MALL", "PRODUCT", 150))
        out.append(request(draw, "STORE", "PRODUCT", 10, columns=("LAYERS", "AD_PRICE")))
        out.append(request(draw, "LIVE", "MERCHANT", 1, columns=("LAYERS",)))
        # Ids that nobody registered are answered, not refused.
        unknown = request(draw, "MALL", "PRODUCT", 20)
        unknown["target_ids"][::5] = [str(2**63 + draw.below(1_000_000)) for _ in unknown["target_ids"][::5]]
        out.append(unknown)
    return out


def allocate(seed, requests, count, slots):
    """Slates of a few of many, in the scenes where budgets and packages are."""
    draw = Draw(seed)
    kinds = [("LIVE", "LIVE_ROOM"), ("MALL", "PRODUCT"), ("SHORT_VIDEO", "SHORT_VIDEO"), ("LIVE", "LIVE_ROOM")]
    out = []
    for at in range(requests):
        scene, kind = kinds[at % len(kinds)]
        message = request(draw, scene, kind, count, base_scores=True)
        out.append({**message, "slots": slots, "fill_slots": at % 2 == 1})
    return out


FILES = {
    "single.json": live(1, 400, 1),
    "batch_50.json": live(50, 60, 50),
    "batch_200.json": live(200, 40, 200),
    "batch_500.json": live(500, 24, 500),
    "mixed_scenes.json": mixed(7, 8),
    "allocate.json": allocate(10, 40, 200, 10),
}


def main():
    check = sys.argv[1:] == ["--check"]
    DATA.mkdir(exist_ok=True)
    stale = []
    for name, messages in FILES.items():
        lines = ",\n".join(json.dumps(message, separators=(",", ":")) for message in messages)
        text = f"[\n{lines}\n]\n"
        path = DATA / name
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(name)
    if stale:
        sys.exit(f"stale, run make_data.py: {', '.join(stale)}")


if __name__ == "__main__":
    main()
