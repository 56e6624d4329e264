"""Train the embedded CLIP: `python -m itkm_core.model.train_tiny`. [ours]

The loss is CLIP's, between a picture and its caption. Nothing else is read: no identity label
enters. The people and cameras are of the synthetic world `clip`, which no demonstration or test
corpus draws from.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch.nn import functional as F

from itkm_core.errors import TrainingError
from itkm_core.model.tiny import TINY_NAME, build_tiny_clip
from itkm_core.model.tiny_text import CompactText, WordLoss, clip_loss
from itkm_core.model.tiny_zero_shot import encode, normalise, pictures, zero_shot
from itkm_core.storage.paths import write_bytes
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.sample import iter_samples

DEFAULT_OUT = Path(__file__).parent / "weights" / f"{TINY_NAME}.safetensors"

TRAINING_WORLD: dict[str, Any] = {
    "world": "clip",
    "cameras": 3,
    "reflectance_from_luminance": 0.75,
    "both_garments_changed": 0.1,
    "downscale": (2.0, 4.0),
    "jpeg_quality": (45, 80),
    "cast": 0.2,
    "noise": 0.025,
    "infrared_noise": 0.03,
    "pose_jitter": 0.6,
}
"""What the model learns from. Given in full, so that a change of the default difficulty changes no weights;
noise and poses vary somewhat more than in a default corpus."""

TEST_SEED = 1_000
"""Added to the seed for the people of the zero-shot numbers."""


class TinyTraining(BaseModel):
    """How to train; the defaults are the shipped weights'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0, description="of the people, the weights and the batches")
    people: int = Field(default=8000, ge=1, description="people of each scenario")
    images: int = Field(default=1, ge=1, description="pictures of a person in each group")
    steps: int = Field(default=4500, ge=1)
    batch: int = Field(default=128, ge=2, description="pictures in a step")
    lr: float = Field(default=1e-3, gt=0, description="peak learning rate, which falls as a cosine")
    warmup: int = Field(default=200, ge=0, description="steps to reach it")
    words: float = Field(default=1.0, ge=0, description="weight of the loss of words")
    weight_decay: float = Field(default=0.1, ge=0)
    threads: int = Field(default=2, ge=1, description="processor threads")
    report: int = Field(default=500, ge=1, description="steps between two lines of progress")
    test_people: int = Field(default=100, ge=2, description="people of the zero-shot numbers")


def learning_rate(step: int, how: TinyTraining) -> float:
    """Linear warm-up, then a cosine down to a hundredth of the peak."""
    if step < how.warmup:
        return how.lr * (step + 1) / how.warmup
    done = (step - how.warmup) / max(1, how.steps - how.warmup)
    return how.lr * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)))


def train(how: TinyTraining, say: Callable[[str], None] = print) -> tuple[Any, dict[str, Any]]:
    """Train from scratch.

    Args:
        how: sizes and rates; the same ones give the same weights on the same machine.
        say: takes a line of progress.

    Returns:
        The `open_clip.CLIP`, and what its card says: seconds, loss, zero_shot, pictures.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    from open_clip.tokenizer import SimpleTokenizer

    torch.manual_seed(how.seed)
    torch.set_num_threads(how.threads)
    begun = time.perf_counter()
    world = SyntheticConfig(
        people_train=how.people,
        people_test=0,
        images=how.images,
        seed=how.seed,
        **TRAINING_WORLD,
    )
    samples = list(iter_samples(world))
    images, tokens = pictures(samples), SimpleTokenizer()([s.caption for s in samples])
    fresh = SyntheticConfig(people_train=0, people_test=how.test_people, seed=how.seed + TEST_SEED)
    test = list(iter_samples(fresh))
    test_images = pictures(test)

    clip = build_tiny_clip()
    text = CompactText(clip, tokens)
    say(
        f"{len(samples)} captioned pictures, {len(text.words)} words, longest caption"
        f" {text.tokens.shape[1]} tokens; drawn in {time.perf_counter() - begun:.0f} s"
    )
    word_loss = WordLoss(text.tokens, len(text.words), clip.text_projection.shape[1])
    optimizer = _optimizer(clip, text, word_loss, how)
    batches = np.random.default_rng(how.seed)
    order = np.empty(0, dtype=np.int64)
    clip.train()
    begun, mean_loss = time.perf_counter(), 0.0
    scores: dict[str, tuple[float, float]] = {}
    for step in range(how.steps):
        while len(order) < how.batch:
            order = np.concatenate([order, batches.permutation(len(samples))])
        rows, order = torch.from_numpy(order[: how.batch]), order[how.batch :]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, how)
        vectors = F.normalize(clip.encode_image(normalise(images[rows])), dim=-1)
        captions = text(rows)
        loss = clip_loss(vectors, captions, clip.logit_scale.exp())
        if not math.isfinite(loss.item()):
            raise TrainingError(f"the loss is {loss.item()} at step {step}: lower --lr")
        optimizer.zero_grad(set_to_none=True)
        (loss + how.words * (word_loss(vectors, rows) + word_loss(captions, rows))).backward()
        optimizer.step()
        with torch.no_grad():
            clip.logit_scale.clamp_(max=math.log(100.0))  # as CLIP does
        mean_loss = loss.item() if step == 0 else 0.98 * mean_loss + 0.02 * loss.item()
        if (step + 1) % how.report == 0 or step + 1 == how.steps:
            scores = zero_shot(encode(clip, test_images), test)
            shown = "  ".join(f"{name} {a:.1f}/{b:.1f}" for name, (a, b) in scores.items())
            say(
                f"step {step + 1}/{how.steps}  loss {mean_loss:.3f}"
                f"  {time.perf_counter() - begun:.0f} s  zero-shot mAP {shown}"
            )
    seconds = time.perf_counter() - begun
    text.write_back()
    facts = {"seconds": seconds, "loss": mean_loss, "zero_shot": scores, "pictures": len(samples)}
    return clip.eval(), facts


def _optimizer(
    clip: Any, text: CompactText, word_loss: WordLoss, how: TinyTraining
) -> torch.optim.Optimizer:
    clip.token_embedding.weight.requires_grad_(False)  # the words that occur are in `text`
    weights = [p for p in clip.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": how.weight_decay},
        {
            "params": [p for p in weights if p.ndim < 2]
            + [text.embedding, *word_loss.parameters()],
            "weight_decay": 0.0,
        },
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98))


def save(clip: Any, out: Path) -> None:
    """Write the weights as float16 safetensors, whole or not at all."""
    from safetensors.torch import save as to_bytes

    state = {name: value.detach().half().contiguous() for name, value in clip.state_dict().items()}
    write_bytes(out, to_bytes(state, metadata={"model": TINY_NAME}))


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m itkm_core.model.train_tiny")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="safetensors file to write")
    for name, field in TinyTraining.model_fields.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(field.default),
            default=field.default,
            help=f"{field.description or name} (%(default)s)",
        )
    given = vars(parser.parse_args(arguments))
    out = given.pop("out")
    clip, _ = train(TinyTraining(**given), lambda line: print(line, flush=True))
    save(clip, out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
