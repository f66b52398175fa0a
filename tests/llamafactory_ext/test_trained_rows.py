"""The number of rows that are trained on is what the host's own data set holds."""

from __future__ import annotations

import json
from pathlib import Path

from mindgpt_plugins.llamafactory_ext.columns import DATASET
from mindgpt_plugins.llamafactory_ext.trained_rows import FILE, record_trained_rows


def test_rows_are_counted_by_set(tmp_path: Path) -> None:
    from datasets import Dataset

    rows = Dataset.from_dict({DATASET: ["w/b", "w/a", "w/b"], "input_ids": [[1], [2], [3]]})
    assert record_trained_rows(rows, tmp_path) == "mindgpt: training on 3 rows: w/a 1, w/b 2"
    assert json.loads((tmp_path / FILE).read_text()) == {"rows": 3, "sets": {"w/a": 1, "w/b": 2}}
    packed = Dataset.from_dict({"input_ids": [[1, 2]]})
    assert record_trained_rows(packed, tmp_path) == "mindgpt: training on 1 rows"
