"""``python -m mindgpt_data.world config.json``: renders the corpora of a ``world`` stage, and nothing else.

The config is JSON: ``settings`` (:class:`mindgpt_data.world.config.WorldSettings`), ``seed`` and ``corpora`` (folder).
Writes ``<corpora>/<set>/manifest.jsonl`` and the pictures it names, and ``metrics.jsonl`` beside the config; a corpus
whose manifest is there is done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindgpt_data import engines
from mindgpt_data.world.config import WorldSettings
from mindgpt_data.world.folder import MANIFEST, read_groups, write_corpus
from mindgpt_plugins.core.files import read_json, write_text
from mindgpt_plugins.core.metrics import append_metrics

EVERY = 50
"""Pictures between two lines of the metrics."""


def main(argv: list[str]) -> int:
    """Render what is missing; returns the exit status."""
    if len(argv) != 1:
        print("usage: python -m mindgpt_data.world config.json", file=sys.stderr)
        return 2
    path = Path(argv[0]).resolve()
    config = read_json(path)
    settings = WorldSettings.model_validate(config["settings"])
    metrics = path.parent / "metrics.jsonl"
    # Corpora that are done are reported again on a restart, so the file is simply begun anew.
    write_text(metrics, "")

    def tell(step: int, total: int) -> None:
        if step % EVERY == 0 or step == total:
            append_metrics(metrics, step, total, {})

    with engines.use_engine("local"):
        render_corpora(settings, int(config["seed"]), Path(config["corpora"]), tell)
    return 0


def render_corpora(
    settings: WorldSettings, seed: int, corpora: Path, tell: Callable[[int, int], None] = lambda step, total: None
) -> None:
    """Write a corpus per set, held-out sets first; no scene is in two of them. Deterministic in the seed.

    Args:
        settings: the sets.
        seed: the only source of chance.
        corpora: gets a folder per set.
        tell: told how many pictures are drawn, of how many.

    Raises:
        ValueError: a set cannot get enough scenes that are new.
    """
    taken: set[str] = set()
    total = sum(scenes.images for one in settings.sets.values() for scenes in one.sources.values())
    done = 0
    for name in settings.order:
        folder, before = corpora / name, done

        def progress(update: dict[str, Any], before: int = before) -> None:
            tell(before + update["step"], total)

        if not (folder / MANIFEST).is_file():
            size = settings.world.size
            sources = settings.sets[name].sources
            write_corpus(folder, sources, seed=seed, size=size, name=name, taken=taken, progress=progress)
            print(f"{name}: rendered", flush=True)
        taken |= read_groups(folder / MANIFEST)
        done += sum(scenes.images for scenes in settings.sets[name].sources.values())
        tell(done, total)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
