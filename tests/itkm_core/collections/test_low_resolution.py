from __future__ import annotations

from itkm_core.collections.listing import Listing, make_listing
from itkm_core.collections.low_resolution import ask_across, factors
from itkm_core.corpus.shrink import FACTORS


def test_low_resolution_asks_and_high_resolution_answers() -> None:
    splits = ["train", "query", "gallery", "train", "query", "gallery"]
    fields = {"split": splits, "group": ["0", "0", "0", "1", "1", "1"]}
    found: Listing = ask_across(make_listing(list("abcdef"), fields, source="s"))
    expected = ["train", "gallery", "gallery", "train", "query", "query"]
    assert found.rows["split"].to_pylist() == expected


def test_factors_are_equally_likely_and_a_picture_s_own() -> None:
    uris = [f"{number}.jpg" for number in range(3000)]
    found = factors(uris)
    for factor in FACTORS:
        assert abs((found == factor).mean() - 1 / 3) < 0.03
    assert factors(uris[7:8]) == found[7:8]
    assert len(factors([])) == 0
