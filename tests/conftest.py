"""For `pytest -n`: the tests of a folder share what is costly to make (a Ray, a whole run), and so one process."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)  # before the plugin looks for the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.parent.relative_to(config.rootpath)
        item.add_marker(pytest.mark.xdist_group(folder.as_posix()))
