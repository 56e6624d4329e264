"""Training of the embedded CLIP, on a few people for a few steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import load_file
from torch.nn import functional as F

from itkm_core.errors import TrainingError
from itkm_core.model import train_tiny
from itkm_core.model.tiny import build_tiny_clip
from itkm_core.model.tiny_text import CompactText, WordLoss, clip_loss
from itkm_core.model.train_tiny import TinyTraining, learning_rate, main, train

CAPTIONS = ["a red hat.", "a person in a long blue coat, seen from behind.", "shoes", "a red hat."]
FEW = TinyTraining(people=8, steps=12, batch=16, warmup=3, threads=1, test_people=4, report=6)


@pytest.fixture
def clip() -> Any:
    torch.manual_seed(0)
    return build_tiny_clip()


def test_the_compact_tower_is_the_models_own(clip: Any) -> None:
    tokens = SimpleTokenizer()(CAPTIONS)
    text = CompactText(clip, tokens)
    rows = torch.tensor([3, 1, 2])
    expected = clip.encode_text(tokens[rows], normalize=True)
    torch.testing.assert_close(text(rows), expected, atol=1e-6, rtol=1e-5)
    assert text.tokens.shape[1] < 20
    assert len(text.words) < 25


def test_trained_words_come_back_and_no_others(clip: Any) -> None:
    tokens = SimpleTokenizer()(CAPTIONS)
    text = CompactText(clip, tokens)
    before = clip.token_embedding.weight.detach().clone()
    with torch.no_grad():
        text.embedding += 1.0
    text.write_back()
    changed = (clip.token_embedding.weight != before).any(1).nonzero()[:, 0]
    assert changed.tolist() == text.words.tolist()
    rows = torch.arange(4)
    expected = clip.encode_text(tokens, normalize=True)
    torch.testing.assert_close(text(rows), expected, atol=1e-6, rtol=1e-5)


def test_the_loss_is_the_naive_one() -> None:
    torch.manual_seed(1)
    images, texts = (F.normalize(torch.randn(5, 8), dim=1) for _ in range(2))
    total = 0.0
    for a, b in ((images, texts), (texts, images)):
        for i in range(5):
            terms = [math.exp(7.0 * float(a[i] @ b[j])) for j in range(5)]
            total -= math.log(terms[i] / sum(terms))
    assert float(clip_loss(images, texts, torch.tensor(7.0))) == pytest.approx(total / 10, rel=1e-5)


def test_the_loss_of_words_is_the_naive_one_and_common_words_count_for_nothing() -> None:
    torch.manual_seed(2)
    tokens = torch.tensor([[1, 2, 3, 0], [1, 4, 0, 0], [1, 2, 4, 0]])
    loss = WordLoss(tokens, 5, 6)
    vectors, rows = F.normalize(torch.randn(3, 6), dim=1), torch.tensor([2, 0, 1])
    counts = [3, 3, 2, 1, 2]  # captions each word is in; padding and word 1 are in all
    total = 0.0
    for vector, row in zip(vectors, rows.tolist(), strict=True):
        scores = loss.table(vector * math.sqrt(6)).tolist()
        normaliser = math.log(sum(math.exp(s) for s in scores))
        weights = {w: math.log(3 / counts[w]) for w in set(tokens[row].tolist())}
        for word, weight in weights.items():
            total -= weight / sum(weights.values()) * (scores[word] - normaliser)
    assert float(loss(vectors, rows)) == pytest.approx(total / 3, rel=1e-5)
    assert float(loss.target[:, :2].abs().max()) == 0.0


def test_the_rate_warms_up_and_falls() -> None:
    how = TinyTraining(steps=100, warmup=10, lr=1.0)
    rates = [learning_rate(step, how) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) == 1.0
    assert 0.01 <= rates[-1] < 0.02
    assert learning_rate(0, TinyTraining(steps=1, warmup=0, lr=1.0)) == 1.0


def test_steps_lower_the_loss() -> None:
    lines: list[str] = []
    _, facts = train(FEW.model_copy(update={"steps": 40, "report": 20, "lr": 2e-3}), lines.append)
    assert facts["pictures"] == 8 * 3 * 2
    assert facts["loss"] < 0.95 * math.log(16)
    assert set(facts["zero_shot"]) == {"uvi", "ucc", "ucr"}
    assert sum("zero-shot mAP" in line for line in lines) == 2


def test_a_seed_decides_the_weights() -> None:
    states = [
        train(FEW.model_copy(update={"steps": 4, "seed": seed}), lambda line: None)[0].state_dict()
        for seed in (0, 0, 1)
    ]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    name = "visual.proj"
    assert not torch.equal(states[0][name], states[2][name])


def test_the_command_writes_weights_that_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "w.safetensors"
    main(["--out", str(out), "--people", "4", "--steps", "2", "--batch", "8", "--threads", "1",
          "--test-people", "3"])  # fmt: skip
    assert "step 2/2" in capsys.readouterr().out
    state = load_file(out)
    build_tiny_clip().load_state_dict({k: v.float() for k, v in state.items()}, strict=True)
    assert [p.name for p in out.parent.iterdir()] == ["w.safetensors"]
    plain = tmp_path / "plain"
    plain.touch()
    assert out.stat().st_mode == plain.stat().st_mode  # readable by whom the user lets read


def test_a_loss_that_is_not_finite_stops_with_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def broken(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        loss = clip_loss(images, texts, scale)
        return loss * float("nan") if len(calls) == 4 else loss

    monkeypatch.setattr(train_tiny, "clip_loss", broken)
    with pytest.raises(TrainingError, match="at step 3"):
        train(FEW, lambda line: None)
