"""``python -m mindgpt_plugins.stages.preference_pairs CONFIG.json``: the stage's process.

Works in the folder of the config file and is safe to run again after a kill.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mindgpt_plugins.generation.hf_engine import EngineError
from mindgpt_plugins.stages.preference_pairs.run import run
from mindgpt_plugins.stages.self_training.prompts import SelfTrainingError

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mindgpt_plugins.stages.preference_pairs CONFIG.json")
    try:
        summary = run(Path(sys.argv[1]))
    except (EngineError, SelfTrainingError) as error:
        sys.exit(str(error))
    print(json.dumps(summary, indent=1), flush=True)
