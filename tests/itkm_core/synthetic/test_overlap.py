"""People who are in one group only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from itkm_core.collections.synthetic import parameters
from itkm_core.errors import CorpusError
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.record import RECORD_FILE
from itkm_core.synthetic.sample import iter_samples, render_sample, sample_keys
from itkm_core.synthetic.write import write_people

SIZE = {"people_train": 8, "people_test": 3, "images": 2, "seed": 5}


@pytest.mark.parametrize(("overlap", "shared"), [(1.0, 8), (0.5, 4), (0.3, 2), (0.0, 0)])
def test_so_many_training_people_are_in_both_groups(overlap: float, shared: int) -> None:
    config = SyntheticConfig(**SIZE, overlap=overlap)
    people: dict[tuple[str, int, str], set[int]] = {}
    for sample in iter_samples(config):
        people.setdefault((sample.scenario, sample.group, sample.split), set()).add(sample.person)
    seen: set[int] = set()
    for scenario in config.scenarios:
        trained = [people[scenario, group, "train"] for group in (0, 1)]
        assert [len(each) for each in trained] == [8, 8]
        assert len(trained[0] & trained[1]) == shared
        tested = [people[scenario, g, split] for g in (0, 1) for split in ("query", "gallery")]
        assert all(each == tested[0] for each in tested)
        assert len(tested[0]) == 3
        everyone = trained[0] | trained[1] | tested[0]
        assert len(everyone) == 16 - shared + 3 == config.people
        assert not everyone & seen  # no one is in two scenarios
        seen |= everyone


def test_those_who_stay_look_as_they_did() -> None:
    before, after = SyntheticConfig(**SIZE), SyntheticConfig(**SIZE, overlap=0.5)
    assert list(sample_keys(before)) == [
        (scenario, person, group, view)
        for scenario in before.scenarios
        for person in range(11)
        for group in (0, 1)
        for view in range(2)
    ]
    common = sorted(set(sample_keys(before)) & set(sample_keys(after)))
    assert (
        len(common) == 3 * (11 + 4 + 3) * 2
    )  # all of group 0, and of group 1 the shared and the tested
    for key in common[::7]:
        np.testing.assert_array_equal(
            render_sample(before, *key).image, render_sample(after, *key).image
        )


def test_the_record_says_so_and_full_overlap_is_as_before(tmp_path: Path) -> None:
    one = {**SIZE, "people_train": 1, "people_test": 0, "scenarios": ("uvi",)}
    write_people(SyntheticConfig(**one, overlap=0.0), tmp_path / "apart")
    assert parameters(str(tmp_path / "apart"))["overlap"] == 0.0
    write_people(SyntheticConfig(**one), tmp_path / "both")
    assert "overlap" not in json.loads((tmp_path / "both" / RECORD_FILE).read_text())["parameters"]
    with pytest.raises(CorpusError, match="other parameters"):
        write_people(SyntheticConfig(**one, overlap=0.5), tmp_path / "apart")
    (tmp_path / "both" / RECORD_FILE).write_text("[]")
    with pytest.raises(CorpusError, match="is not a record of synthetic people"):
        parameters(str(tmp_path / "both"))
