"""What a check of a corpus finds: precision and recall of each kind on made-up people with injected faults.

    python benchmarks/checking.py [--json FILE] [--seeds 4] [--people 60]

Corpora as `itkm synth` draws them, each once with pictures of 64x32 and once of 128x64. `clean`: what is found in
them as they are, none of which is right. Then a tenth of the pictures is spoilt in one way at a time: near leaks are
copies of training pictures that are changed and put among the test pictures, the others are changed in place.
`recall`: of the spoilt pictures, those found; a near leak with the picture it was made from. `precision`: of what is
found, the spoilt.
"""

from __future__ import annotations

import argparse
import io
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from bench_corpus import record, show
from PIL import Image, ImageFilter

from itkm_core.corpus.checks.check import INDEX, check
from itkm_core.corpus.checks.look import LOOK_SCHEMA, look_row
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.sample import Sample, iter_samples

Rng = np.random.Generator
Change = Callable[[Image.Image, Rng], bytes]


def jpeg(picture: Image.Image, quality: int = 85) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def cropped(picture: Image.Image, share: float, rng: Rng) -> bytes:
    """Without `share` of the height or width on one side, and half of the time up to as much on each of the others."""
    sides = np.where(rng.random(4) < 0.5, rng.uniform(0, share, 4), 0)
    sides[rng.integers(4)] = share
    w, h = picture.size
    left, top, right, bottom = sides
    return jpeg(
        picture.crop(
            (round(left * w), round(top * h), round((1 - right) * w), round((1 - bottom) * h))
        )
    )


def levels(picture: Image.Image, factor: float) -> Image.Image:
    return picture.point(lambda value: min(255, round(value * factor)))


def moved(picture: Image.Image, share: float) -> bytes:
    """Blurred by a movement to the side, over `share` of the width."""
    reach = max(1, round(picture.width * share / 2))
    pixels = np.asarray(picture, np.float32)
    wide = np.pad(pixels, ((0, 0), (reach, reach), (0, 0)), mode="edge")
    seen = np.mean([wide[:, k : k + picture.width] for k in range(2 * reach + 1)], axis=0)
    return jpeg(Image.fromarray(seen.astype(np.uint8)))


def grey(picture: Image.Image, rng: Rng) -> bytes:
    """Nothing but the noise of a sensor."""
    noise = rng.normal(rng.uniform(0, 255), 3, (picture.height, picture.width, 3))
    return jpeg(Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)))


LEAKS: dict[str, Change] = {
    "JPEG of quality 75": lambda picture, rng: jpeg(picture, 75),
    "JPEG of quality 40": lambda picture, rng: jpeg(picture, 40),
    "brighter or darker by up to 30 %": lambda picture, rng: jpeg(
        levels(picture, rng.uniform(0.7, 1.3))
    ),
    "cropped by 3 %": lambda picture, rng: cropped(picture, 0.03, rng),
    "cropped by 5 %": lambda picture, rng: cropped(picture, 0.05, rng),
    "cropped by 8 %": lambda picture, rng: cropped(picture, 0.08, rng),
}
SPOILT: dict[str, tuple[str, Change]] = {
    "blur, deviation 2 % of the height": (
        "blurred",
        lambda picture, rng: jpeg(picture.filter(ImageFilter.GaussianBlur(0.02 * picture.height))),
    ),
    "blur, deviation 3 % of the height": (
        "blurred",
        lambda picture, rng: jpeg(picture.filter(ImageFilter.GaussianBlur(0.03 * picture.height))),
    ),
    "moved by 20 % of the width": ("blurred", lambda picture, rng: moved(picture, 0.2)),
    "a twentieth to a tenth of the light": (
        "dark",
        lambda picture, rng: jpeg(levels(picture, rng.uniform(0.05, 0.1))),
    ),
    "grey with noise": ("constant", grey),
    "a fifth of the height": (
        "tiny",
        lambda picture, rng: jpeg(
            picture.resize((max(1, picture.width // 5), max(1, picture.height // 5)))
        ),
    ),
    "the upper third": (
        "odd_aspect",
        lambda picture, rng: jpeg(picture.crop((0, 0, picture.width, picture.height // 3))),
    ),
}


def seen(sample: Sample, data: bytes, split: str | None = None) -> dict[str, Any]:
    """What the index says of a picture, and a look at it."""
    width, height = Image.open(io.BytesIO(data)).size
    names = ("scenario", "group", "camera")
    return {
        **{name: getattr(sample, name) for name in names},
        **{"split": split or sample.split, "tracklet": -1, "height": height, "width": width},
        **look_row(-1, data),
    }


def checked(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a check finds in pictures."""
    table = pa.Table.from_pylist([{**row, "sample_id": n} for n, row in enumerate(rows)])
    looks = table.select(LOOK_SCHEMA.names).cast(LOOK_SCHEMA)
    return check(table.select(INDEX), looks, None, lambda done, all: None).to_pylist()


def pixels(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def measure(config: SyntheticConfig, totals: Counter[tuple[str, str]]) -> None:
    """Add the counts of one corpus to `totals`, of (fault, what is counted)."""
    samples = list(iter_samples(config))
    files = [each.encoded() for each in samples]
    rows = [seen(each, data) for each, data in zip(samples, files, strict=True)]
    rng = np.random.default_rng([7, config.seed, config.height])
    totals["clean", "pictures"] += len(rows)
    totals.update(("clean", issue["kind"]) for issue in checked(rows))
    train = [number for number, each in enumerate(samples) if each.split == "train"]

    def count(name: str, right: set[Any], found: Sequence[Any]) -> None:
        totals[name, "made"] += len(right)
        totals[name, "found"] += len(found)
        totals[name, "right"] += len(right.intersection(found))

    for name, change in LEAKS.items():
        chosen = rng.permutation(train)[: len(rows) // 10].tolist()
        copies = [seen(samples[n], change(pixels(files[n]), rng), "gallery") for n in chosen]
        found = [i for i in checked([*rows, *copies]) if i["kind"] == "near_leak"]
        right = {(len(rows) + k, n) for k, n in enumerate(chosen)}
        count(name, right, [(issue["sample_id"], issue["other"]) for issue in found])
    for name, (kind, change) in SPOILT.items():
        chosen = rng.permutation(len(rows))[: len(rows) // 10].tolist()
        spoilt = list(rows)
        for n in chosen:
            spoilt[n] = seen(samples[n], change(pixels(files[n]), rng))
        ids = [issue["sample_id"] for issue in checked(spoilt) if issue["kind"] == kind]
        count(name, set(chosen), ids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--people", type=int, default=60)
    options = parser.parse_args()
    totals: Counter[tuple[str, str]] = Counter()
    started = time.perf_counter()
    for seed in range(options.seeds):
        for height in (64, 128):
            size = {"height": height, "width": height // 2, "people_train": options.people}
            measure(SyntheticConfig(seed=seed, **size), totals)
    alarms = {kind: n for (name, kind), n in totals.items() if name == "clean"}
    rows = [
        {
            "what": name,
            "kind": kind,
            "made": totals[name, "made"],
            "recall": totals[name, "right"] / totals[name, "made"],
            "precision": totals[name, "right"] / max(1, totals[name, "found"]),
        }
        for name, kind in [
            *((name, "near_leak") for name in LEAKS),
            *((name, kind) for name, (kind, _) in SPOILT.items()),
        ]
    ]
    show(f"clean: {alarms}; {time.perf_counter() - started:.0f} s", rows)
    record(options.json, {"clean": alarms, "faults": rows})


if __name__ == "__main__":
    main()
