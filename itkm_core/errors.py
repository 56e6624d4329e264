"""Errors a user can cause. Each message says what was seen, what was expected and what to change."""

from __future__ import annotations


def shortened(error: object, most: int = 400) -> str:
    """The words of an error in one line. Of more than `most` letters the middle goes: the cause is often at the end."""
    said = " ".join(str(error).split())
    return said if len(said) <= most else f"{said[: most // 3]} ... {said[-(most - most // 3) :]}"


class ItkmWarning(UserWarning):
    """What a user should know of, and need not change."""


class ItkmError(Exception):
    """Root of every error a user can cause; the command line prints its message, not a traceback."""


class ConfigError(ItkmError):
    """A configuration value, file or override that cannot be used."""


class CorpusError(ItkmError):
    """A corpus, or a source to build one from, that cannot be used."""


class FeatureError(ItkmError):
    """Features that are missing, repeated, not finite or not unit vectors."""


class LabelError(ItkmError):
    """Pseudo-labels that cannot be made or learned from."""


class LinkError(ItkmError):
    """Tracklets or decisions that cannot be read, or that contradict each other."""


class ModelError(ItkmError):
    """A model or weights that cannot be found or that do not match."""


class TrainingError(ItkmError):
    """Training that cannot continue."""


class DivergedError(TrainingError):
    """A loss or a gradient that is not finite."""


class StorageError(ItkmError):
    """A place that cannot be read or written, or that holds something unexpected."""
