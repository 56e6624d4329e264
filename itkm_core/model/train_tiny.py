"""Train the embedded CLIP `itkm-tiny` on captioned synthetic people: `python -m itkm_core.model.train_tiny`. [ours]

The loss is CLIP's (Radford et al., ICML 2021, figure 3): a picture and its caption against the others of
the batch. Nothing but pictures and captions is read; no identity label enters. The people and cameras are of
the synthetic world `clip`, which no demonstration or test corpus draws from.
"""

from __future__ import annotations

import argparse
import io
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from itkm_core.corpus.synthetic_config import SyntheticConfig
from itkm_core.corpus.synthetic_sample import Sample, iter_samples
from itkm_core.model.tiny import TINY_CONFIG, TINY_MEAN, TINY_STD, build_tiny_clip

DEFAULT_OUT = Path(__file__).parent / "weights" / "itkm-tiny.safetensors"


def pictures(samples: list[Sample]) -> Tensor:
    """The pictures as a user's files would be read: uint8 [N, 3, 64, 32], small ones enlarged bicubically."""
    height, width = TINY_CONFIG["vision_cfg"]["image_size"]
    rows = []
    for sample in samples:
        with Image.open(io.BytesIO(sample.encoded())) as file:
            picture = file.convert("RGB")
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        rows.append(np.asarray(picture))
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).contiguous()


def normalise(images: Tensor) -> Tensor:
    """uint8 [B, 3, h, w] -> float32 [B, 3, h, w] as the model expects it."""
    mean = torch.tensor(TINY_MEAN).view(3, 1, 1)
    std = torch.tensor(TINY_STD).view(3, 1, 1)
    return (images.float() / 255.0 - mean) / std


class CompactText(nn.Module):
    """The text tower of a CLIP over the words that occur, and no longer than they are.

    Args:
        clip: the model; its tower is shared, not copied.
        tokens: int64 [N, 77], every caption there is. Kept are the columns any of them uses.

    A batch has few of CLIP's 49,408 words; an optimizer step over the whole table would cost more than
    the forward and backward of the tower.
    """

    def __init__(self, clip: Any, tokens: Tensor) -> None:
        super().__init__()
        self.clip = clip
        used = int((tokens != 0).sum(1).max())
        self.words, compact = tokens[:, :used].unique(return_inverse=True)
        self.tokens = compact
        self.ends = tokens.argmax(1)  # the end-of-text token has the largest number
        self.embedding = nn.Parameter(clip.token_embedding.weight.detach()[self.words].clone())

    def forward(self, rows: Tensor) -> Tensor:
        """Unit-norm text vectors [B, 64] of the captions `rows` int64 [B]."""
        clip, tokens = self.clip, self.tokens[rows]
        length = tokens.shape[1]
        x = self.embedding[tokens] + clip.positional_embedding[:length]
        x = clip.transformer(x, attn_mask=clip.attn_mask[:length, :length])
        x = clip.ln_final(x)
        x = x[torch.arange(len(rows)), self.ends[rows]] @ clip.text_projection
        return F.normalize(x, dim=-1)

    @torch.no_grad()
    def write_back(self) -> None:
        """Put the trained words back into the model's table."""
        self.clip.token_embedding.weight[self.words] = self.embedding


def clip_loss(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """Symmetric cross-entropy of unit-norm `images` [B, D] against `texts` [B, D]; `scale` is 1 / temperature."""
    logits = scale * images @ texts.T
    target = torch.arange(len(images))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


@torch.no_grad()
def encode(clip: Any, images: Tensor, batch: int = 256) -> np.ndarray:
    """Unit-norm image vectors float32 [N, 64] of uint8 [N, 3, 64, 32]."""
    clip.eval()
    rows = [
        F.normalize(clip.encode_image(normalise(images[i : i + batch])), dim=-1)
        for i in range(0, len(images), batch)
    ]
    clip.train()
    return torch.cat(rows).numpy()


def mean_ap(
    queries: np.ndarray, gallery: np.ndarray, query_ids: np.ndarray, gallery_ids: np.ndarray
) -> float:
    """Mean average precision in percent; queries [Q, D], gallery [G, D], every camera counted."""
    order = np.argsort(-queries @ gallery.T, axis=1, kind="stable")
    hits = gallery_ids[order] == query_ids[:, None]
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return float(100.0 * ((precision * hits).sum(1) / hits.sum(1)).mean())


def zero_shot(clip: Any, samples: list[Sample], images: Tensor) -> dict[str, tuple[float, float]]:
    """Cross-group mAP in percent per scenario: (queries of g = 1 in g = 0, queries of g = 0 in g = 1)."""
    vectors = encode(clip, images)
    people = np.array([s.person for s in samples])
    groups = np.array([s.group for s in samples])
    query = np.array([s.split == "query" for s in samples])
    scenario = np.array([s.scenario for s in samples])
    table = {}
    for name in dict.fromkeys(s.scenario for s in samples):
        scores = []
        for g in (1, 0):
            q = (scenario == name) & (groups == g) & query
            k = (scenario == name) & (groups == 1 - g) & ~query
            scores.append(mean_ap(vectors[q], vectors[k], people[q], people[k]))
        table[name] = (scores[0], scores[1])
    return table


def _rate(step: int, steps: int, peak: float, warmup: int) -> float:
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return peak * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * done)))


def train(args: argparse.Namespace) -> dict[str, Any]:
    """Train, write the weights to `args.out` and return what a card should say."""
    from open_clip.tokenizer import SimpleTokenizer
    from safetensors.torch import save_file

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    begun = time.time()
    config = SyntheticConfig(
        world="clip", people_train=args.people, people_test=0, images=args.images, seed=args.seed
    )
    samples = list(iter_samples(config))
    images = pictures(samples)
    tokens = SimpleTokenizer()([s.caption for s in samples])
    fresh = SyntheticConfig(people_train=0, people_test=100, seed=args.seed + 1_000)
    test_samples = list(iter_samples(fresh))
    test_images = pictures(test_samples)
    clip = build_tiny_clip()
    text = CompactText(clip, tokens)
    print(
        f"{len(samples)} captioned pictures, {len(text.words)} words, longest caption"
        f" {text.tokens.shape[1]} tokens; drawn in {time.time() - begun:.0f} s",
        flush=True,
    )
    clip.token_embedding.weight.requires_grad_(False)
    named = [p for p in clip.parameters() if p.requires_grad]
    decay = [p for p in named if p.ndim >= 2]
    plain = [p for p in named if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": decay, "weight_decay": args.weight_decay},
            {"params": [*plain, text.embedding], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
    )
    order_of = np.random.default_rng(args.seed)
    order = np.empty(0, dtype=np.int64)
    clip.train()
    begun, mean_loss = time.time(), float("nan")
    for step in range(args.steps):
        if len(order) < args.batch:
            order = np.concatenate([order, order_of.permutation(len(samples))])
        rows, order = torch.from_numpy(order[: args.batch]), order[args.batch :]
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, args.steps, args.lr, args.warmup)
        vectors = F.normalize(clip.encode_image(normalise(images[rows])), dim=-1)
        loss = clip_loss(vectors, text(rows), clip.logit_scale.exp())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            clip.logit_scale.clamp_(max=math.log(100.0))
        value = loss.item()
        mean_loss = value if step == 0 else 0.98 * mean_loss + 0.02 * value
        if (step + 1) % args.report == 0 or step + 1 == args.steps:
            scores = zero_shot(clip, test_samples, test_images)
            shown = "  ".join(f"{name} {a:.1f}/{b:.1f}" for name, (a, b) in scores.items())
            print(
                f"step {step + 1}/{args.steps}  loss {mean_loss:.3f}  {time.time() - begun:.0f} s"
                f"  zero-shot mAP {shown}",
                flush=True,
            )
    seconds = time.time() - begun
    text.write_back()
    out = Path(args.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().half().contiguous() for name, value in clip.state_dict().items()}
    temporary = out.with_suffix(".partial")
    save_file(state, temporary, metadata={"model": "itkm-tiny", "seed": str(args.seed)})
    temporary.replace(out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB", flush=True)
    return {"seconds": seconds, "loss": mean_loss, "zero_shot": scores, "pictures": len(samples)}


def parser() -> argparse.ArgumentParser:
    """The command line; its defaults are the shipped weights'."""
    p = argparse.ArgumentParser(prog="python -m itkm_core.model.train_tiny", description=__doc__)
    p.add_argument("--out", type=Path, default=DEFAULT_OUT, help="safetensors file to write")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--people", type=int, default=2000, help="people of each scenario")
    p.add_argument("--images", type=int, default=1, help="pictures of a person in each group")
    p.add_argument("--steps", type=int, default=4500)
    p.add_argument("--batch", type=int, default=128, help="pictures in a step")
    p.add_argument("--lr", type=float, default=1e-3, help="peak learning rate")
    p.add_argument("--warmup", type=int, default=200, help="steps to reach it")
    p.add_argument("--weight-decay", type=float, default=0.1)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--report", type=int, default=500, help="steps between two lines of progress")
    return p


if __name__ == "__main__":
    train(parser().parse_args())
