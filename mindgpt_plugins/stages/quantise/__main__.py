"""``python -m mindgpt_plugins.stages.quantise quantise.json``: the process of a ``quantise`` stage.

Works in the folder of the config file; a killed one goes on with the finished candidate and the replies it has.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from mindgpt_plugins.core.files import FileError
from mindgpt_plugins.core.schema import read_model
from mindgpt_plugins.generation.hf_engine import EngineError
from mindgpt_plugins.stages.quantise.apply import QuantiseError, quantise_model
from mindgpt_plugins.stages.quantise.calibration import CalibrationError
from mindgpt_plugins.stages.quantise.gate import QualityLost, judge_quantised_model
from mindgpt_plugins.stages.quantise.job import QuantiseJob

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mindgpt_plugins.stages.quantise CONFIG.json")
    path = Path(sys.argv[1]).resolve()
    job = read_model(path, QuantiseJob)
    if (path.parent / "model" / "done").is_file():  # it passed, and only its record was lost
        sys.exit(0)
    try:
        candidate = quantise_model(job, path.parent)
        print(json.dumps(judge_quantised_model(job, path.parent, candidate), indent=1), flush=True)
        os.replace(candidate, path.parent / "model")  # only what passed is a model
    except (EngineError, CalibrationError, QuantiseError, QualityLost, FileError, FileNotFoundError) as error:
        sys.exit(str(error))
