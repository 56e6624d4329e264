"""What pages and docstrings point to is there: sections of docs/definition.md, links, headings, files."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("itkm_core", "pipelines", "benchmarks", "cluster_configs", "docs", "tests")
SUFFIXES = {".py", ".md", ".yaml", ".yml", ".toml"}
TOP = ("README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml", ".ci/run")
# These name files of trees that they make up.
MADE_UP = {"tests/test_docs.py", "tests/test_layout.py"}

CITATION = re.compile(r'definition\.md((?:,? (?:and )?"[^"]+")+)')
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
NAMED_FILE = re.compile(
    rf"(?<![\w/.-])((?:{'|'.join(ROOMS)})/[\w./-]*\.(?:py|md|ya?ml|json|toml))\b"
)
BARE_SCRIPT = re.compile(r"(?<![\w/.*-])([a-z_]\w*\.py)\b")
MODULE = re.compile(r"(?<![\w/.-])((?:itkm_core|pipelines)(?:\.\w+)+)")
EQUATION = re.compile(r"^ {4,}(\w+)(?:\(i, j\))? +(?:=|<-) ", re.M)


def files(root: Path) -> Iterator[tuple[str, str]]:
    """Every file of text under `root`: its name there, and what is in it."""
    found = [root / name for name in TOP]
    found += [
        path for room in ROOMS for path in (root / room).rglob("*") if path.suffix in SUFFIXES
    ]
    for path in sorted(found):
        name = str(path.relative_to(root))
        if path.is_file() and name not in MADE_UP:
            yield name, path.read_text()


def headings(page: str) -> list[str]:
    return re.findall(
        r"^#{1,6} +(.+?) *$", re.sub(r"^```.*?^```", "", page, flags=re.M | re.S), re.M
    )


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings(page)}


def unknown_citations(root: Path) -> list[str]:
    """Citations of docs/definition.md that are neither a heading nor an equation there."""
    page = (root / "docs/definition.md").read_text()
    known = {*headings(page), *EQUATION.findall(page)}
    return [
        f'{name}: definition.md, "{section}"'
        for name, text in files(root)
        for found in CITATION.finditer(" ".join(text.replace("#", " ").split()))
        for section in re.findall(r'"([^"]+)"', found[1])
        if section not in known
    ]


def dead_links(root: Path) -> list[str]:
    """Relative links of the pages to a file or a heading that is not there."""
    dead = []
    for name, text in files(root):
        for target in LINK.findall(text) if name.endswith(".md") else ():
            if "://" in target:
                continue
            place, _, anchor = target.partition("#")
            page = (root / name).parent / place if place else root / name
            if not page.exists() or (anchor and anchor not in anchors(page.read_text())):
                dead.append(f"{name}: {target}")
    return dead


def missing_files(root: Path) -> list[str]:
    """Files and modules that pages, docstrings, comments or messages name and that are not there."""
    scripts = {path.name for room in ROOMS for path in (root / room).rglob("*.py")}
    missing = []
    for name, text in files(root):
        named = [(each, (root / each).exists()) for each in NAMED_FILE.findall(text)]
        named += [(each, each in scripts) for each in BARE_SCRIPT.findall(text)]
        named += [(each, is_module(root, each)) for each in MODULE.findall(text)]
        missing += [f"{name}: {each}" for each, there in named if not there]
    return missing


def is_module(root: Path, dotted: str) -> bool:
    """Whether `itkm_core.x.y.z` is a module, something in one, or a name that a package hands on."""
    place = root
    for part in dotted.split("."):
        if (place / f"{part}.py").is_file():
            return True
        if not (place / part).is_dir():
            init = place / "__init__.py"
            return init.is_file() and part in re.findall(r"\w+", init.read_text())
        place /= part
    return True


@pytest.mark.parametrize("faults", [unknown_citations, dead_links, missing_files])
def test_what_is_pointed_to_is_there(faults) -> None:
    assert faults(ROOT) == []


def test_citations_and_links_are_found() -> None:
    everything = dict(files(ROOT))
    assert sum(len(CITATION.findall(" ".join(text.split()))) for text in everything.values()) > 30
    assert {"README.md", "CONTRIBUTING.md", "docs/definition.md"} <= set(everything)
    assert len(LINK.findall(everything["README.md"])) > 8
    page = everything["docs/definition.md"]
    assert {"L_homo", "L_sep", "L_chm", "L_ihm", "L_text", "T_c", "d"} <= set(
        EQUATION.findall(page)
    )


def test_no_source_outside_the_repository_is_cited() -> None:
    assert [
        name for name, text in files(ROOT) if re.search(r'\bMETHOD(\.md|,? "|,? Stage)', text)
    ] == []


def test_each_fault_is_seen(tmp_path: Path) -> None:
    for name, text in {
        "docs/definition.md": "# Method\n## Stage I\n    L_homo = -log x\n",
        "docs/other.md": "[a](definition.md#stage-i) [b](definition.md#stage-ii) [c](gone.md) [d](#x)\n",
        "itkm_core/a.py": '"""docs/definition.md, "Stage I" and "L_homo";\ndefinition.md, "Stage\nX"."""\n',
        "itkm_core/b.py": "# itkm_core/gone.py, docs/gone.md, a.py, away.py, itkm_core.a.f, itkm_core.c\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert unknown_citations(tmp_path) == ['itkm_core/a.py: definition.md, "Stage X"']
    assert dead_links(tmp_path) == [
        "docs/other.md: definition.md#stage-ii",
        "docs/other.md: gone.md",
        "docs/other.md: #x",
    ]
    assert missing_files(tmp_path) == [
        "itkm_core/b.py: itkm_core/gone.py",
        "itkm_core/b.py: docs/gone.md",
        "itkm_core/b.py: away.py",
        "itkm_core/b.py: itkm_core.c",
    ]
