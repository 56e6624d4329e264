"""The images: linted, pinned to what pyproject.toml asks for, with the user and paths the manifests count on."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from kube_manifests import OVERLAYS, ROOT, groups, objects, ray_spec, tool
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DOCKERFILE = ROOT / "cluster_configs/docker/Dockerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = ("cpu", "gpu", "report", "video")


def instructions() -> list[tuple[str, str]]:
    """(instruction, its text), lines joined and comments left out."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.M).replace("\\\n", " ")
    pairs = [line.partition(" ") for line in text.splitlines() if line.strip()]
    return [(word, " ".join(rest.split())) for word, _, rest in pairs]


def pins() -> dict[str, str]:
    found = {}
    for line in (DOCKERFILE.parent / "constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, _, version = line.partition("==")
            found[canonicalize_name(name)] = version
    return found


def test_hadolint_has_nothing_to_say() -> None:
    command = [tool("hadolint"), str(DOCKERFILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_requirement_is_pinned_to_a_version_it_allows() -> None:
    wanted = [*PROJECT["dependencies"]]
    for extra in EXTRAS:
        wanted += PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, wanted):
        version = pins().get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} has no version in constraints.txt"
        assert requirement.specifier.contains(version), f"{requirement}, pinned to {version}"


def test_the_image_installs_the_extras_with_the_pins() -> None:
    (install,) = [text for word, text in instructions() if word == "RUN" and "pip install" in text]
    words = shlex.split(install)
    assert words[words.index("--constraint") + 1] == "constraints.txt"
    assert words[-1] == ".[${EXTRA},report,video]"
    assert ("ARG", "EXTRA=cpu") in instructions()
    assert {"cpu", "gpu", "report", "video"} <= PROJECT["optional-dependencies"].keys()


def test_the_python_is_one_the_project_runs_on() -> None:
    base = instructions()[0][1]
    version = re.match(r"python:(\d+\.\d+)-", base)
    assert version, base
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version[1])


def test_the_demo_is_the_smoke_test_and_no_part_of_the_image() -> None:
    made = (ROOT / "Makefile").read_text().replace("\t@$(BIN)/", "").replace("$(DEMO)", "demo")
    demo = [line for line in made.splitlines() if line.startswith("itkm ")]
    *_, stage, (_, smoke), last = instructions()
    assert (stage, last) == (("FROM", "itkm-base AS smoke"), ("FROM", "itkm-base"))
    *commands, check = [part.strip() for part in smoke.split("&&")]
    assert commands == demo
    assert check == "test -s demo/run/pseudo_labels.parquet"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_user_is_the_manifests(overlay: str) -> None:
    (user,) = [text for word, text in instructions() if word == "USER"]
    for group in groups(ray_spec(objects(f"overlays/{overlay}"))).values():
        security = group["template"]["spec"]["securityContext"]
        assert f"{security['runAsUser']}:{security['runAsGroup']}" == user


def test_the_weights_are_those_of_the_recipes() -> None:
    from pipelines.config import load_config, recipe_names

    given = dict(text.split("=", 1) for word, text in instructions() if word == "ARG")
    models = {load_config(name).model for name in recipe_names() if name != "tiny"}
    assert {(m.name, m.pretrained) for m in models} == {(given["MODEL"], given["PRETRAINED"])}


def kept(path: str) -> bool:
    """Whether .dockerignore lets a file into the build; its last pattern that fits decides."""
    keeps = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            parts = [path, *map(str, list(Path(path).parents)[:-1])]
            if line.startswith("**/"):
                parts = [Path(part).name for part in parts]
            if any(fnmatch(part, pattern) for part in parts):
                keeps = line.startswith("!")
    return keeps


def test_the_build_gets_what_it_copies_and_little_else() -> None:
    for word, text in instructions():
        for source in text.split()[:-1] if word == "COPY" else []:
            assert (ROOT / source).exists()
            assert kept(source)
    assert PROJECT["readme"] == "README.md"
    assert PROJECT["license-files"] == ["LICENSE"]
    assert kept("pipelines/recipes/tiny.yaml")
    assert kept("itkm_core/model/weights/itkm-tiny.safetensors")
    for path in (".git/config", ".venv/bin/python", "demo/run/config.yaml", "tests/test_layout.py"):
        assert not kept(path)
    assert not kept("itkm_core/clustering/__pycache__/x.nbc")
