"""``python -m mindgpt_plugins.stages.self_training CONFIG.json``: the process of both self-training stages.

Works in the folder of the config file and is safe to run again after a kill.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mindgpt_plugins.generation.hf_engine import EngineError
from mindgpt_plugins.stages.preference_pairs import run as preference_pairs
from mindgpt_plugins.stages.rejection_sampling import run as rejection_sampling
from mindgpt_plugins.stages.self_training.prompts import SelfTrainingError

STAGES = {"rejection_sampling": rejection_sampling.run, "preference_pairs": preference_pairs.run}

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mindgpt_plugins.stages.self_training CONFIG.json")
    path = Path(sys.argv[1])
    try:
        summary = STAGES[json.loads(path.read_text())["kind"]](path)
    except (EngineError, SelfTrainingError) as error:
        sys.exit(str(error))
    print(json.dumps(summary, indent=1), flush=True)
