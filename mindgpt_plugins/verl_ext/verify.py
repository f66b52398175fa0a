"""``python -m mindgpt_plugins.verl_ext.verify FOLDER RAY``: did verl run with our trainer and rewards? Imports no host.

After a run that did, Ray's session folder ``RAY`` (sockets and logs) is removed; after a failure it stays to be read.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def find_rl_run_problem(folder: Path) -> str | None:
    """What is wrong with a finished RL run, or ``None``."""
    loaded = folder / "loaded.json"
    if not loaded.is_file():
        return (
            f"verl finished without our trainer and rewards ({loaded} is missing), so this run is not what the recipe "
            "asked for; `mindgpt doctor` shows why verl did not load us"
        )
    return None


def main() -> None:
    """Exit 1 with one line when something is wrong."""
    found = find_rl_run_problem(Path(sys.argv[1]))
    if found:
        raise SystemExit(f"mindgpt: {found}")
    shutil.rmtree(sys.argv[2], ignore_errors=True)


if __name__ == "__main__":
    main()
