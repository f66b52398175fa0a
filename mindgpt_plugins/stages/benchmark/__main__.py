"""``python -m mindgpt_plugins.stages.benchmark benchmark.json``: the process of a ``benchmark`` stage.

Works in the folder of the config file and is safe to run again after a kill.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mindgpt_plugins.generation.vllm_server import ServeError
from mindgpt_plugins.stages.benchmark.run import BenchmarkError, run

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mindgpt_plugins.stages.benchmark CONFIG.json")
    try:
        run(Path(sys.argv[1]))
    except (BenchmarkError, ServeError) as error:
        sys.exit(str(error))
