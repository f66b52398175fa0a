"""The floors of docs/architecture.md hold, and whoever breaks one is told."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter")
ROOT = Path(__file__).parents[2]
PACKAGES = ("mindgpt_plugins", "data_tools/mindgpt_data", "patches/mindgpt_patches")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (folder, folder / "data_tools", folder / "patches")))
    }
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_every_folder_imports_only_what_lies_below_it():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("mindgpt_plugins/core/files.py", "import mindgpt_plugins.cli", "A folder imports only what lies below it"),
        (
            "data_tools/mindgpt_data/gates/rules.py",
            "def late():\n    from mindgpt_plugins.rewards import sdk",
            "The data tools need only core, answers and web of the plugins",
        ),
        ("mindgpt_plugins/advantage/core.py", "import verl", "Only verl_ext, llamafactory_ext and the patches import"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path, file, line, broken):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    with open(tmp_path / file, "a") as opened:
        opened.write(f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode != 0
    assert any(broken in said and said.rstrip().endswith("BROKEN") for said in done.stdout.splitlines()), done.stdout
