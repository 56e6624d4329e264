"""YAML that people write: in any encoding that YAML allows, and an error in one line for everything else."""

from __future__ import annotations

import json
from typing import Any

import yaml

from itkm_core.errors import ConfigError, shortened


def parse_yaml(data: bytes | str, what: str) -> Any:
    """The value of a YAML text. Bytes are UTF-8, UTF-16 or UTF-32, whatever the locale (YAML 1.2, section 5.2).

    Raises:
        ConfigError: `what`, as it is called there, is in another encoding or is not YAML.
    """
    try:
        # The rules of JSON's standard for a byte order mark and the zeros of the first characters are YAML's.
        return yaml.safe_load(
            data if isinstance(data, str) else data.decode(json.detect_encoding(data))
        )
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{what} is not in UTF-8, UTF-16 or UTF-32: byte {error.object[error.start]:#04x} in line {line}. Save it "
            "as UTF-8"
        ) from error
    except Exception as error:  # PyYAML also lets through what its constructors raise, for a date such as 2026-13-01
        raise ConfigError(f"{what} is not YAML: {shortened(error)}") from error
