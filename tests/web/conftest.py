from __future__ import annotations

import sys
from pathlib import Path

for folder in ("workbench/report", "data_tools"):  # what makes run folders and work folders
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
