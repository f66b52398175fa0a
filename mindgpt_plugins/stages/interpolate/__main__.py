"""``python -m mindgpt_plugins.stages.interpolate interpolate.json``: the process of an ``interpolate`` stage.

Works in the folder of the config file and is safe to run again after a kill.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mindgpt_plugins.core.schema import read_model
from mindgpt_plugins.stages.interpolate.checkpoint import MergeError
from mindgpt_plugins.stages.interpolate.job import InterpolateJob
from mindgpt_plugins.stages.interpolate.run import interpolate_checkpoints, resolve_model_snapshot


def main(path: Path) -> None:
    """Choose alpha if asked to, then write ``model`` beside the config file."""
    job = read_model(path, InterpolateJob)
    folder = path.resolve().parent
    start, end = resolve_model_snapshot(job.start), resolve_model_snapshot(job.end)
    alpha = job.alpha
    if alpha is None:
        assert job.choose is not None  # the recipe's schema wants one of the two
        from mindgpt_plugins.stages.interpolate.choose import choose_alpha

        alpha = choose_alpha(start, end, job.choose, folder)
    interpolate_checkpoints(start, end, alpha, folder / "model")
    print(f"wrote {folder / 'model'}: {start} + {alpha:g} · ({end} − {start})", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mindgpt_plugins.stages.interpolate CONFIG.json")
    try:
        main(Path(sys.argv[1]))
    except MergeError as error:
        sys.exit(f"mindgpt: error: {error}")
