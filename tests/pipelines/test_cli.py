"""What the command says when it is interrupted."""

from __future__ import annotations

import subprocess
import sys

# Ctrl-C while a command reads its recipe; a signal from outside would have to hit the right moment.
INTERRUPTED = """
import pipelines.cli as cli
def pressed(*_): raise KeyboardInterrupt
cli.load_config = pressed
cli.main(["config"])
"""


def test_ctrl_c_says_how_to_go_on_and_exits_with_130() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 130
    assert done.stderr.strip() == (
        "interrupted; the same command continues from the last complete step"
    )
    assert done.stdout == ""
