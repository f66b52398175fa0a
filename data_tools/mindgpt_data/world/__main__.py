"""``python -m mindgpt_data.world config.json``: renders the corpora of a ``world`` stage, and nothing else.

The config is JSON: ``settings`` (:class:`mindgpt_data.world.config.WorldSettings`), ``seed`` and ``corpora`` (folder).
Writes ``<corpora>/<set>/manifest.jsonl`` and the pictures it names; a corpus whose manifest is there is done.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mindgpt_data import engines
from mindgpt_data.world.config import WorldSettings
from mindgpt_data.world.folder import MANIFEST, read_groups, write_corpus


def main(argv: list[str]) -> int:
    """Render what is missing; returns the exit status."""
    if len(argv) != 1:
        print("usage: python -m mindgpt_data.world config.json", file=sys.stderr)
        return 2
    path = Path(argv[0]).resolve()
    config = json.loads(path.read_text(encoding="utf-8"))
    settings = WorldSettings.model_validate(config["settings"])
    with engines.use("local"):
        render(settings, int(config["seed"]), Path(config["corpora"]))
    return 0


def render(settings: WorldSettings, seed: int, corpora: Path) -> None:
    """Write a corpus per set, held-out sets first; no scene is in two of them. Deterministic in the seed.

    Raises:
        ValueError: a set cannot get enough scenes that are new.
    """
    taken: set[str] = set()
    for name in settings.order:
        folder = corpora / name
        if not (folder / MANIFEST).is_file():
            size = settings.world.size
            write_corpus(folder, settings.sets[name].sources, seed=seed, size=size, name=name, taken=taken)
            print(f"{name}: rendered", flush=True)
        taken |= read_groups(folder / MANIFEST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
