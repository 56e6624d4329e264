"""What a tracker's mistakes cost: ARI of labels with links, and the errors they tell, by the share of mistakes.

    python benchmarks/tracker_noise.py [--json FILE] [--seeds 3] [--people 20]

People are filmed as `itkm synth --video` does it, and every third frame's crops go through the recipe tiny's untrained
encoder. `mixed`: share of tracks that hold two people. `frames`: labels of the frames one by one, with the recipe's
k1 and eps; `links`: with the tracks, k1 and eps chosen by them. Medians over seeds.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from bench_corpus import record, show
from PIL import Image
from sklearn.metrics import adjusted_rand_score

NOISE = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
EVERY = 3  # frames


def filmed(config: Any, group: int) -> list[tuple[Any, np.ndarray, list[np.ndarray]]]:
    """Of each camera of a group the boxes, those on every third frame as rows of them, and their crops."""
    from itkm_core.synthetic.video.scene import Scene
    from itkm_core.synthetic.video.tracker import SEEN, Boxes
    from itkm_core.synthetic.video.walks import draw_recordings

    cameras = []
    for place, recording in enumerate(draw_recordings(config, "uvi", group)):
        scene = Scene(config, "uvi", group, place)
        rows, crops = [], []
        for frame in range(recording.num_frames):
            time = frame / config.fps
            there = [(n, w.person, s) for n, w in enumerate(recording.walks) if (s := w.at(time))]
            picture, boxes = scene.shoot(time, [(person, stand) for _, person, stand in there])
            for (walk, person, _), box in zip(there, boxes, strict=True):
                if box is None or box.visible < SEEN:
                    continue
                place_of = (box.left, box.top, box.width, box.height)
                rows.append((frame, walk, person, place_of, box.visible))
                if frame % EVERY == 0:
                    left, top, right, bottom = np.round(
                        [box.left, box.top, box.left + box.width, box.top + box.height]
                    ).astype(int)
                    crops.append(picture[top:bottom, left:right])
        found = Boxes(*(np.array(column) for column in zip(*rows, strict=True)))
        cameras.append((found, np.flatnonzero(found.frame % EVERY == 0), crops))
    return cameras


def encoded(crops: list[np.ndarray], group: int) -> np.ndarray:
    import torch

    from itkm_core.corpus.transforms import to_tensor
    from pipelines.config import load_config
    from pipelines.steps.encoders import EncoderSource

    model = load_config("tiny").model
    encoder, info = EncoderSource(model, ("uvi",), seed=0).load()
    encoder.eval()
    height, width = model.image_size
    size = (width, height)
    images = np.stack([np.asarray(Image.fromarray(c).resize(size, Image.BILINEAR)) for c in crops])
    features = []
    with torch.no_grad():
        for start in range(0, len(images), 256):
            batch = to_tensor(images[start : start + 256], info.mean, info.std)
            of = torch.full((len(batch),), group), torch.zeros(len(batch), dtype=torch.long)
            features.append(torch.nn.functional.normalize(encoder(batch, *of), dim=1).numpy())
    return np.concatenate(features)


def score(labels: np.ndarray, person: np.ndarray) -> float:
    """ARI, every outlier a cluster of its own."""
    alone = np.where(labels < 0, labels.max(initial=-1) + 1 + np.arange(len(labels)), labels)
    return float(adjusted_rand_score(person, alone))


def of_group(seed: int, people: int, group: int) -> list[dict[str, float]]:
    """A row for each share of mistakes."""
    from itkm_core.clustering import pseudo_label
    from itkm_core.clustering.auto_eps import label_rows
    from itkm_core.links import tracker_links
    from itkm_core.synthetic.video.config import VideoConfig
    from itkm_core.synthetic.video.tracker import track
    from pipelines.config import make_config

    cameras = filmed(VideoConfig(people=people, people_test=0, seed=seed), group)
    features = encoded([crop for *_, crops in cameras for crop in crops], group)
    person = np.concatenate([boxes.person[rows] for boxes, rows, _ in cameras])
    frame = np.concatenate([boxes.frame[rows] for boxes, rows, _ in cameras])
    camera = np.repeat(np.arange(len(cameras)), [len(rows) for _, rows, _ in cameras])
    options = make_config({}, ["labels.k1=auto", "labels.eps=auto"]).labels.for_scenario("uvi")
    plain = score(pseudo_label(features).labels, person)
    table = []
    for noise in NOISE:
        ids = [track(boxes, noise, np.random.default_rng([seed, k]))[1][rows]
               for k, (boxes, rows, _) in enumerate(cameras)]  # fmt: skip
        links = tracker_links(camera, np.concatenate(ids), frame)
        first = np.unique(links.unit_of, return_index=True)[1]
        mixed = np.unique(links.unit_of[person != person[first][links.unit_of]])
        made = label_rows(features, np.arange(len(features)), options, where="", links=links)
        table.append(
            {
                "noise": noise,
                "tracks": len(first),
                "mixed": len(mixed) / len(first),
                "frames": plain,
                "tracks alone": score(links.unit_of, person),
                "links": score(made.found.labels, person),
                "merge errors": made.parameters["merge_errors"],
                "split errors": made.parameters["split_errors"],
            }
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    asked = parser.parse_args()
    results = {}
    for group, name in enumerate(("day", "night")):
        tables = [of_group(seed, asked.people, group) for seed in range(asked.seeds)]
        medians = [
            {what: statistics.median(row[what] for row in rows) for what in rows[0]}
            for rows in zip(*tables, strict=True)
        ]
        show(f"{name}, medians", medians)
        results[name] = {"rows": tables, "medians": medians}
    record(asked.json, results)


if __name__ == "__main__":
    main()
