"""``python -m mindgpt_plugins.stages.evaluate evaluate.json``: the process of an ``evaluate`` stage.

Works in the folder of the config file and is safe to run again after a kill.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mindgpt_data.tree.model import TreeError

from mindgpt_plugins.generation.hf_engine import EngineError
from mindgpt_plugins.stages.evaluate.branches import LabelError
from mindgpt_plugins.stages.evaluate.paired import CompareError
from mindgpt_plugins.stages.evaluate.run import GateFailed, run_evaluation

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mindgpt_plugins.stages.evaluate CONFIG.json")
    try:
        run_evaluation(Path(sys.argv[1]))
    except (CompareError, EngineError, GateFailed, LabelError, TreeError) as error:
        sys.exit(str(error))
