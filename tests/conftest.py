"""For `pytest -n`: the tests of a folder share what is costly to make (a Ray, a whole run), and so one process."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(str(item.path.parent)))
