"""Lets the tests of this folder import the small problem they share, in this process and in workers."""

from __future__ import annotations

import sys
from pathlib import Path

# pytest's importlib mode leaves sys.path alone; a worker script has its own folder there anyway.
sys.path.append(str(Path(__file__).parent))
