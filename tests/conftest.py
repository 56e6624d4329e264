"""For `pytest -n`: the tests of a folder share what is costly to make (a Ray, a whole run), and so one process."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings

# A busy machine must not fail an example for the time it took.
settings.register_profile("itkm", deadline=None)
settings.load_profile("itkm")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("::")[0].rpartition("/")[0]

    return ByFolder(config, log)
