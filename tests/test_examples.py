"""The gallery runs: each script of docs/examples in a process of its own, with tiny settings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "docs" / "examples").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_example_runs(script, tmp_path):
    environment = os.environ | {
        "STATESPACE_EXAMPLE_SIZE": "small",
        "STATESPACE_EXAMPLE_IMAGES": str(tmp_path),
        "MPLBACKEND": "Agg",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout
    assert list(tmp_path.iterdir()) == []  # small runs leave nothing behind


def test_every_example_is_listed():
    page = (ROOT / "docs" / "examples" / "index.md").read_text(encoding="utf-8")
    assert SCRIPTS
    assert [script.name for script in SCRIPTS if script.name not in page] == []
