from __future__ import annotations

import os
from pathlib import Path

import pytest
from crd_schema import Schemas, load_schemas

CRDS = "ITKM_KUBERAY_CRDS"


@pytest.fixture(scope="session")
def schemas() -> Schemas:
    """KubeRay's CRDs, of $ITKM_KUBERAY_CRDS or ../shared/kuberay/crds beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "kuberay" / "crds"
    folder = Path(os.environ.get(CRDS) or beside)
    found = load_schemas(folder) if folder.is_dir() else {}
    if not found and CRDS in os.environ:
        pytest.fail(f"${CRDS} is {folder}, which holds no CRDs")
    if not found:
        pytest.skip(f"no KubeRay CRDs at {folder}; ${CRDS} names a folder with them")
    return found
