"""The constraints of `make test-oldest` are the lower bounds of pyproject.toml, all of them."""

from __future__ import annotations

import tomllib
from pathlib import Path

from oldest import EXTRAS, oldest


def test_every_lower_bound_is_a_constraint() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    bounded = [*project["dependencies"], *(one for name in EXTRAS for one in extras[name])]
    bounded = [one for one in bounded if ">=" in one]
    found = oldest(project)
    assert len(found) == len({one.split(">=")[0] for one in bounded})
    assert "ray==2.60" in found  # of ray[data,default,train]>=2.60
    assert any(one.startswith("pyarrow==") and "," not in one for one in found)
    made = {
        "dependencies": ["a[x]>=1.2,<3", "b"],
        "optional-dependencies": {name: ["c==4"] for name in EXTRAS},
    }
    assert oldest(made) == ["a==1.2"]
