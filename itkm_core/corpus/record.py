"""What corpus.json may hold. A corpus can come from anywhere, and its names become paths: of shards below
its root, of folders in a run, of copies in a node's cache. None of them may lead outside."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Any

from itkm_core.errors import CorpusError

SCENARIO_NAME = re.compile(r"\w[\w.\- ]{0,63}")
"""Never `.` or `..`, and without a separator of any system."""

SCENARIO_RULE = (
    "letters, digits, '.', '_', '-' or spaces, the first no '.', '-' or space, at most 64 of them"
)

_DIGEST = re.compile(r"[0-9a-f]{8,128}")


def check_record(record: dict[str, Any], root: str, splits: Sequence[str]) -> None:
    """Refuse a corpus.json without its entries, or with names that lead out of the corpus.

    record: what the file holds. root: where the corpus is, for the errors. splits: those allowed.

    Raises:
        CorpusError: with the entry, what was seen and what was expected.
    """
    try:
        _check(record, splits)
    except KeyError as error:
        raise _damaged(root, f"has no {error}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise _damaged(root, str(error)) from error


def _check(record: dict[str, Any], splits: Sequence[str]) -> None:
    num_images = _number("num_images", record["num_images"])
    if not isinstance(record["has_identities"], bool):
        raise ValueError(f"has_identities is {record['has_identities']!r}, expected true or false")
    if not isinstance(record.get("has_tracklets", False), bool):
        raise ValueError(f"has_tracklets is {record['has_tracklets']!r}, expected true or false")
    if not _DIGEST.fullmatch(record["digest"]):
        raise ValueError(f"digest {record['digest']!r} is not one, expected hexadecimal digits")
    counted, kept = 0, 0
    for row in record["counts"]:
        if not SCENARIO_NAME.fullmatch(row["scenario"]):
            raise ValueError(f"scenario {row['scenario']!r}, expected {SCENARIO_RULE}")
        if _number("group", row["group"]) > 1 or row["split"] not in splits:
            raise ValueError(f"group {row['group']!r} and split {row['split']!r} of a count")
        counted += _number("num_images", row["num_images"])
    for row in record.get("derived", []):
        if not SCENARIO_NAME.fullmatch(row["scenario"]) or _number("group", row["group"]) > 1:
            raise ValueError(f"derived is of scenario {row['scenario']!r}, group {row['group']!r}")
        if row["by"] != "clothes":
            raise ValueError(f"derived is by {row['by']!r}, expected 'clothes'")
    for shard in record["shards"]:
        path = shard["path"]
        clean = posixpath.normpath(path)
        leads_out = clean.startswith("/") or clean.split("/")[0] in ("", ".", "..")
        if path != clean or leads_out or "\\" in path or "\0" in path or "://" in path:
            raise ValueError(f"shard {path!r}, expected a plain path below the corpus")
        kept += _number("num_rows", shard["num_rows"])
    if not num_images == counted == kept:
        raise ValueError(
            f"num_images is {num_images:,}, but the counts say {counted:,} and the shards {kept:,}"
        )


def _number(name: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{name} is {value!r}, expected a number")
    return value


def _damaged(root: str, what: str) -> CorpusError:
    return CorpusError(f"corpus.json of the corpus at {root} is damaged: {what}; ingest it again")
