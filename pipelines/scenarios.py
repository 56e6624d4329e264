"""A corpus narrowed to some of its scenarios, for single-scenario training on a joint corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from itkm_core.corpus.schema import Corpus
from itkm_core.errors import ConfigError


def narrow(corpus: Corpus, only: Sequence[str]) -> Corpus:
    """The corpus as if it had only these scenarios; all of them where `only` is empty.

    Sample ids, shards and digest stay those of the whole: only what is counted and numbered changes.

    Raises:
        ConfigError: a scenario that the corpus has not.
    """
    unknown = sorted(set(only) - set(corpus.scenarios))
    if unknown:
        raise ConfigError(
            f"only names {', '.join(unknown)}, and the corpus at {corpus.root} has the scenarios "
            f"{', '.join(corpus.scenarios)}"
        )
    if not only:
        return corpus
    return replace(
        corpus,
        scenarios=tuple(name for name in corpus.scenarios if name in only),
        counts={key: number for key, number in corpus.counts.items() if key[0] in only},
    )
