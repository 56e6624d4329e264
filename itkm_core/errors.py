"""Errors a user can cause. Each message says what was seen, what was expected and what to change."""

from __future__ import annotations


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


class ModelError(ItkmError):
    """A model or weights that cannot be found or that do not match."""


class TrainingError(ItkmError):
    """Training that cannot continue."""


class DivergedError(TrainingError):
    """A loss or a gradient that is not finite."""


class StorageError(ItkmError):
    """A place that cannot be read or written, or that holds something unexpected."""
