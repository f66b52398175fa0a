"""The results file: one JSON with the machine and a list of rows, rewritten after every row."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.files import write_text

PACKAGES = ("torch", "triton", "transformers", "liger-kernel", "cut-cross-entropy", "verl", "flash-attn")


class Results:
    """Rows in ``gpu.json`` and the page made of them.

    Args:
        folder: where both files are.
        render: from the whole content to the page's text.
    """

    def __init__(self, folder: Path, render: Callable[[dict[str, Any]], str]):
        self.path, self.page, self.render = folder / "gpu.json", folder / "gpu.md", render
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, about: dict[str, Any]) -> None:
        """Begin anew."""
        self._write({**about, "rows": []})

    def read(self) -> dict[str, Any]:
        """What is there so far."""
        return json.loads(self.path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    def note(self, **about: Any) -> None:
        """Add to what is known of the machine or the run."""
        self._write({**self.read(), **about})

    def add(self, section: str, **row: Any) -> None:
        """Append a row; both files are whole again afterwards, whatever happens next."""
        content = self.read()
        content["rows"].append({"section": section, **row})
        self._write(content)
        shown = " ".join(
            f"{key}={value}" for key, value in row.items() if key not in ("ms", "losses", "gradient_norms")
        )
        print(f"[{section}] {shown}", flush=True)

    def _write(self, content: dict[str, Any]) -> None:
        for path, text in ((self.path, json.dumps(content, indent=1)), (self.page, self.render(content))):
            write_text(path, text + "\n")


def versions() -> dict[str, str]:
    """Releases that are installed, ``absent`` for the others."""

    def one(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "absent"

    return {"python": platform.python_version(), **{name: one(name) for name in PACKAGES}}


class Budget:
    """Time for the whole run; a case that would begin after its end is left out and listed.

    Args:
        deadline: Unix time.
    """

    def __init__(self, deadline: float):
        self.deadline = deadline

    def left(self) -> float:
        """Seconds."""
        return self.deadline - time.time()

    def spent(self, results: Results, section: str, **case: Any) -> bool:
        """Whether the time is up; if so the case is recorded as left out."""
        if self.left() > 0:
            return False
        results.add(section, **case, side="all", state="left out: the time was up")
        return True
