from __future__ import annotations

import pytest

from itkm_core.corpus.schema import Corpus, narrow
from itkm_core.errors import ConfigError

COUNTS = {("ucc", 0, "train"): 3, ("uvi", 0, "train"): 5, ("uvi", 1, "query"): 2}


@pytest.fixture
def corpus() -> Corpus:
    return Corpus("/somewhere", 10, ("ucc", "uvi"), COUNTS, "digest", ["a"], [10])


def test_an_empty_choice_is_the_whole_corpus(corpus: Corpus) -> None:
    assert narrow(corpus, ()) is corpus


def test_a_narrowed_corpus_counts_and_numbers_only_what_was_chosen(corpus: Corpus) -> None:
    small = narrow(corpus, ["uvi"])
    assert small.scenarios == ("uvi",)
    assert small.groups() == [("uvi", 0)]
    assert sum(small.counts.values()) == 7
    assert (small.num_images, small.digest, small.shards) == (10, "digest", ["a"])


def test_the_order_of_the_choice_does_not_matter(corpus: Corpus) -> None:
    assert narrow(corpus, ["uvi", "ucc"]) == narrow(corpus, ["ucc", "uvi"]) == corpus


def test_an_unknown_scenario_names_those_there_are(corpus: Corpus) -> None:
    with pytest.raises(ConfigError, match=r"only names nope.*ucc, uvi"):
        narrow(corpus, ["uvi", "nope"])
