"""The oldest version of every dependency that pyproject.toml allows, as constraints for pip.

    python tests/oldest.py > FILE; pip install -c FILE '.[cpu,report,test]'

`make test-oldest` runs the tests with them.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

EXTRAS = ("cpu", "report", "test")


def oldest(project: dict[str, object]) -> list[str]:
    """`name==version` of each requirement with a lower bound, sorted. project: the table of that name."""
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for name in EXTRAS for one in extras[name])]
    found = {}
    for requirement in wanted:
        bound = re.match(r"([\w.-]+)(?:\[[\w,]+\])?>=([\w.]+)", requirement)
        if bound:
            found[bound[1].lower()] = f"{bound[1]}=={bound[2]}"
    return [found[name] for name in sorted(found)]


if __name__ == "__main__":
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    print("\n".join(oldest(tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"])))
