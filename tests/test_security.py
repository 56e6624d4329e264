"""What docs/security.md promises, looked for in the code and tried at the command line."""

from __future__ import annotations

import ast
import os
import re
import signal
import stat
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from itkm_core.errors import ItkmError
from pipelines import cli, session
from pipelines.console import Console
from pipelines.secrets import without_secrets
from pipelines.session import keep_token_private

ROOT = Path(__file__).resolve().parents[1]

UNPICKLERS = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
FORBIDDEN = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "torch.jit.load",
    "yaml.load",
    "yaml.unsafe_load",
}
REQUIRED = {
    "torch.load": ("weights_only", True),
    "open_clip.load_checkpoint": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
}


def unsafe_reads(source: str) -> Iterator[tuple[int, str]]:
    """Lines of a module that could run what they read."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        yield from ((node.lineno, name) for name in names if name.split(".")[0] in UNPICKLERS)  # type: ignore[attr-defined]
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {each.arg: getattr(each.value, "value", None) for each in node.keywords}
        if (
            called in FORBIDDEN
            or given.get("shell") is True
            or given.get("trust_remote_code") is True
        ):
            yield node.lineno, called
        if called in REQUIRED and given.get(REQUIRED[called][0]) is not REQUIRED[called][1]:
            yield node.lineno, called


def test_nothing_that_is_read_is_run() -> None:
    found = []
    files = [path for room in ("itkm_core", "pipelines") for path in (ROOT / room).rglob("*.py")]
    assert len(files) > 100
    for path in files:
        found += [
            f"{path.relative_to(ROOT)}:{line} {what}"
            for line, what in unsafe_reads(path.read_text())
        ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "subprocess.run(line, shell=True)",
        "open_clip.load_checkpoint(model, path)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
    ],
)
def test_the_search_finds_it(source: str) -> None:
    assert list(unsafe_reads(source))


def shipped() -> list[Path]:
    rooms = ("pipelines", "cluster_configs", "itkm_core")
    files = [path for room in rooms for path in (ROOT / room).rglob("*") if path.is_file()]
    return [
        path
        for path in files
        if path.suffix in (".py", ".yaml", ".yml", ".sh", ".env", ".json", "")
    ]


def test_nothing_that_ships_turns_tokens_off_or_opens_a_dashboard() -> None:
    off = re.compile(r"(?i)auth.{0,60}\b(disabled|none|off)\b")
    open_to_all = re.compile(r"dashboard.host\W+(0\.0\.0\.0|::)")
    for path in shipped():
        text = path.read_text(errors="replace")
        assert not off.search(text), path
        assert not open_to_all.search(text), path
    assert off.search('env["RAY_AUTH_MODE"] = "disabled"')
    assert off.search("RAY_AUTH_MODE: disabled")
    assert open_to_all.search("--dashboard-host=0.0.0.0")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What `ray_session` asks Ray for, and the environment at that moment."""
    asked: dict[str, Any] = {}

    def init(**options: Any) -> SimpleNamespace:
        folder = tmp_path / ".ray"
        mode = stat.S_IMODE(folder.stat().st_mode) if folder.exists() else None
        asked.update(options, mode=os.environ.get("RAY_AUTH_MODE"), token_folder=mode)
        return SimpleNamespace(dashboard_url="")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(session.ray, "init", init)
    monkeypatch.setattr(session, "_have_restarts_noted", lambda: None)
    monkeypatch.setattr(session.ray, "shutdown", lambda: None)
    yield asked
    signal.signal(signal.SIGTERM, before)


def test_a_local_ray_has_its_dashboard_on_loopback_and_its_token_in_a_closed_folder(
    started,
) -> None:
    with session.ray_session(Console(file=StringIO())):
        pass
    assert started["dashboard_host"] == "127.0.0.1"
    assert started["mode"] in (None, "token")  # unset, Ray turns tokens on
    assert started["token_folder"] == 0o700


def test_a_folder_that_was_open_is_closed(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ray").mkdir(mode=0o755)
    (tmp_path / ".ray" / "auth_token").write_text("x")
    keep_token_private()
    assert stat.S_IMODE((tmp_path / ".ray").stat().st_mode) == 0o700
    assert (tmp_path / ".ray" / "auth_token").read_text() == "x"


SECRET = "wJalrXUtnFEMI/K7MDENG"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"cannot reach 's3://AKIA:{SECRET}@bucket/c'", "cannot reach 's3://***@bucket/c'"),
        (f"https://me:{SECRET}@proxy:3128 is away", "https://***@proxy:3128 is away"),
        (f"s3://b/c?region=x&secret_key={SECRET}", "s3://b/c?region=x&secret_key=***"),
        (f"AWS_SECRET_ACCESS_KEY={SECRET} is set", "AWS_SECRET_ACCESS_KEY=*** is set"),
        (f"{{'RAY_AUTH_TOKEN': '{SECRET}'}}", "{'RAY_AUTH_TOKEN': '***'}"),
        (f"authorization: Bearer {SECRET}", "authorization: Bearer ***"),
        (f"redis://:{SECRET}@host:6379/0", "redis://***@host:6379/0"),
        (f"X-Amz-Security-Token={SECRET}&x=1", "X-Amz-Security-Token=***&x=1"),
        ("http://127.0.0.1:8265/a@b and s3://bucket/a?region=x", None),
        ("label[uvi/0]: 3 tokens, key 7, /data/runs/mine@2", None),
        ("ray start --address=10.0.0.1:6379 or gs://anonymous@bucket", None),
    ],
)
def test_what_is_secret_is_hidden_and_nothing_else(text: str, shown: str | None) -> None:
    assert without_secrets(text) == (text if shown is None else shown)


def test_values_of_the_environment_are_hidden_wherever_they_stand(monkeypatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef")
    monkeypatch.setenv("HF_TOKEN", "a")  # too short to be one
    assert without_secrets("grpc said 0123456789abcdef to a man") == "grpc said *** to a man"


@pytest.fixture
def itkm(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """itkm(arguments) -> exit code and all that was printed, of the command in this process."""

    def ended(code: int) -> None:
        raise SystemExit(code)

    def call(*arguments: str) -> tuple[int, str]:
        try:
            cli.main(list(arguments))
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out + said.err

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(cli.os, "_exit", ended)
    yield call
    signal.signal(signal.SIGTERM, before)


PLACE = f"s3://AKIA:{SECRET}@bucket/c"


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--corpus", PLACE, "--out", "x"),
        ("run", "--corpus", "x", f"--out={PLACE}"),
        ("doctor", "--out", PLACE),
        ("ingest", "--as", "folder", PLACE, "--out", "x"),
        ("label", "--features", "x.npy", "--out", PLACE),
        ("ablate", "--corpus", PLACE),
        ("config", f"model.pretrained={PLACE}"),
        ("dag", "--corpus", f"s3://bucket/c?secret_key={SECRET}"),
    ],
)
def test_a_key_in_an_address_is_refused_and_not_repeated(itkm, arguments) -> None:
    code, said = itkm(*arguments)
    assert code == 2
    assert "leave it out" in said
    assert SECRET[:8] not in said


def test_nor_is_one_in_a_file(itkm, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"model: {{pretrained: '{PLACE}'}}\n")
    sources = tmp_path / "corpus.yaml"
    sources.write_text(f"sources: [{{kind: folder, path: '{PLACE}', colour: '{PLACE}'}}]\n")
    for arguments in (
        ("config", "--recipe", str(recipe)),
        ("ingest", "--config", str(sources), "--out", str(tmp_path / "x")),
    ):
        code, said = itkm(*arguments)
        assert code == 2
        assert SECRET[:8] not in said


@pytest.mark.parametrize("kind", [ItkmError, RuntimeError])
def test_what_a_library_says_of_a_fault_is_shown_without_its_secrets(
    itkm, monkeypatch, kind
) -> None:
    def fault(*_: object) -> None:
        raise kind(f"403 of {PLACE}, sent authorization: Bearer {SECRET}")

    monkeypatch.setattr(cli, "load_config", fault)
    code, said = itkm("config")
    assert code == (2 if kind is ItkmError else 1)
    assert "403 of s3://***@bucket/c" in said
    assert SECRET[:8] not in said
