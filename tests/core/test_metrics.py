"""``metrics.jsonl``: one writer, one reader, one rule for NaN and for torn lines."""

from __future__ import annotations

import json
import math
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindgpt_plugins.core.metrics import MetricsTail, append_metrics, append_record, read_metrics, truncate_metrics

NUMBERS = st.integers(-(2**53), 2**53) | st.floats()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(figures=st.lists(st.dictionaries(st.sampled_from("abc"), NUMBERS), max_size=4), torn=st.text(max_size=8))
def test_numbers_survive_the_file_and_a_kill(tmp_path, figures, torn):
    path = tmp_path / "metrics.jsonl"
    path.unlink(missing_ok=True)
    for step, one in enumerate(figures, 1):
        append_metrics(path, step, 9, one)
    with path.open("a", encoding="utf-8") as file:
        file.write(torn.replace("\n", ""))
    finite = [{k: v if math.isfinite(v) else None for k, v in one.items()} for one in figures]
    found = read_metrics(path)
    assert [line["step"] for line in found] == list(range(1, len(figures) + 1))
    for line, one in zip(found, finite, strict=True):
        assert {k: None if math.isnan(line[k]) else line[k] for k in one} == one


def test_nothing_that_is_not_json_is_written(tmp_path):
    path = tmp_path / "metrics.jsonl"
    numbers = {"loss": math.nan, "norm": math.inf, "low": -math.inf, "half": Fraction(1, 2), "count": 3}
    append_metrics(path, 1, 2, {**numbers, "text": "x", "flag": True, "list": [1], "none": None, "step": 7, "total": 8})
    line = json.loads(path.read_text(), parse_constant=lambda name: name)
    assert line == {"step": 1, "total": 2, "loss": None, "norm": None, "low": None, "half": 0.5, "count": 3}
    assert type(line["count"]) is int
    (read,) = read_metrics(path)
    assert math.isnan(read["loss"]) and math.isnan(read["norm"])


def test_a_run_that_goes_on_repeats_no_step(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for step in (1, 2, 3):
        append_metrics(path, step, 9, {"loss": math.nan if step == 1 else step / 2})
    with path.open("a") as file:
        file.write('{"step": 4, "tot')
    truncate_metrics(path, 2)
    append_metrics(path, 3, 9, {"loss": 7})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 1, "total": 9, "loss": None},
        {"step": 2, "total": 9, "loss": 1.0},
        {"step": 3, "total": 9, "loss": 7},
    ]
    truncate_metrics(tmp_path / "none.jsonl", 0)
    assert read_metrics(tmp_path / "none.jsonl") == []


def test_traces_share_the_format(tmp_path):
    path = tmp_path / "mixture.jsonl"
    append_record(path, {"step": 1, "signal": "loss", "values": {"a": 1.0}, "late": math.nan})
    append_record(path, {"step": 2, "uid": ["a", "b"]})
    truncate_metrics(path, 1)
    assert [line["signal"] for line in read_metrics(path)] == ["loss"]


def test_the_tail_follows_a_file_that_is_cut(tmp_path):
    path = tmp_path / "metrics.jsonl"
    tail = MetricsTail(path)
    assert tail.update() == {}
    append_metrics(path, 1, 9, {"loss": 1.0})
    append_metrics(path, 2, 9, {"loss": math.nan})
    with path.open("a") as file:
        file.write('{"step": 3')
    last = tail.update()
    assert last["step"] == 2 and math.isnan(last["loss"])
    truncate_metrics(path, 0)
    append_metrics(path, 1, 9, {"loss": 0.5})
    assert tail.update() == {"step": 1, "total": 9, "loss": 0.5}
