"""Small packages of somebody else, installed from their source without a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def copy_source(package: Path, folder: Path) -> Path:
    """A copy of a package's source that may be changed."""
    return Path(shutil.copytree(package, folder, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info")))


def install(source: Path, target: Path) -> Path:
    """Install a package with pip into a folder that is put on ``sys.path``; pip writes into ``source``."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "--target", target, source], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return target
