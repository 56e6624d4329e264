"""What `itkm-tiny` finds across the groups of synthetic people before any training on them.

`python -m itkm_core.model.tiny_zero_shot` prints the numbers of the card beside the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from itkm_core.corpus.images import decode_image
from itkm_core.evaluation.ranking import rank
from itkm_core.model.tiny import TINY_CONFIG, TINY_MEAN, TINY_NAME, TINY_STD
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.sample import Sample, iter_samples


def pictures(samples: Sequence[Sample]) -> Tensor:
    """The pictures as read from their files: uint8 [N, 3, 64, 32], small ones enlarged."""
    size = TINY_CONFIG["vision_cfg"]["image_size"]
    rows = np.stack([decode_image(sample.encoded(), size) for sample in samples])
    return torch.from_numpy(rows).permute(0, 3, 1, 2).contiguous()


def normalise(images: Tensor) -> Tensor:
    """uint8 [B, 3, h, w] -> float32 [B, 3, h, w] as the model expects it."""
    mean = torch.tensor(TINY_MEAN).view(3, 1, 1)
    std = torch.tensor(TINY_STD).view(3, 1, 1)
    return (images.float() / 255.0 - mean) / std


@torch.no_grad()
def encode(clip: Any, images: Tensor, batch: int = 256) -> np.ndarray:
    """Unit-norm image vectors, float32 [N, 64], of uint8 [N, 3, 64, 32]."""
    training = clip.training
    clip.eval()
    parts = images.split(batch)
    rows = [F.normalize(clip.encode_image(normalise(part)), dim=-1) for part in parts]
    clip.train(training)
    return torch.cat(rows).numpy()


def zero_shot(vectors: np.ndarray, samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """Cross-group mAP in percent per scenario: (g = 1 asked in g = 0, g = 0 asked in g = 1).

    Args:
        vectors: [N, D], row i of sample i.
        samples: pictures of test people; those of split `query` ask, those of `gallery` answer.
    """
    people = np.array([s.person for s in samples])
    cameras = np.array([s.camera for s in samples])
    groups = np.array([s.group for s in samples])
    splits = np.array([s.split for s in samples])
    scenarios = np.array([s.scenario for s in samples])
    table = {}
    for name in dict.fromkeys(scenarios.tolist()):
        scores = []
        for g in (1, 0):
            q = (scenarios == name) & (groups == g) & (splits == "query")
            k = (scenarios == name) & (groups == 1 - g) & (splits == "gallery")
            ranking = rank(vectors[q], vectors[k], people[q], people[k], cameras[q], cameras[k])
            scores.append(100.0 * ranking.mean_ap)
        table[name] = (scores[0], scores[1])
    return table


def main(seeds: Sequence[int] = (3000, 3001, 3002, 3003, 3004, 3005), people: int = 100) -> None:
    """Print the shipped weights' cross-group mAP on default corpora of these seeds."""
    from itkm_core.model.clip import load_clip

    clip = load_clip(TINY_NAME, None).model
    for seed in seeds:
        config = SyntheticConfig(people_train=0, people_test=people, seed=seed)
        samples = list(iter_samples(config))
        table = zero_shot(encode(clip, pictures(samples)), samples)
        shown = "  ".join(f"{name} {a:.1f}/{b:.1f}" for name, (a, b) in table.items())
        print(f"seed {seed}, {people} test people: {shown}")


if __name__ == "__main__":
    main()
