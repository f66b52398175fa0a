from __future__ import annotations

import json
import re

import pytest

from mindgpt_plugins.web.charts import Dot, draw_changes, draw_histogram, draw_lines, draw_places, draw_stacks
from mindgpt_plugins.web.numbers import format_count, format_duration, format_number, format_percent, format_points


def test_a_flat_or_single_point_curve_still_makes_a_chart() -> None:
    assert "polyline" in draw_lines("flat", {"a": [[1, 0.0], [2, 0.0]]})
    assert "circle" in draw_lines("one", {"a": [[1, 3.0]]})
    assert draw_lines("none", {"a": []}) == "" == draw_histogram("none", {}, 0, 1) == draw_changes("none", [])


def test_the_read_out_gets_every_point() -> None:
    chart = draw_lines("t", {"a": [[0, 1.0], [10, 3.0]], "b": [[5, 2.0]]})
    data = json.loads(re.search(r'data-lines="([^"]*)"', chart)[1].replace("&#34;", '"'))  # type: ignore[index]
    assert [[point[1:] for point in line] for line in data] == [[[0, 1], [10, 3]], [[5, 2]]]
    assert chart.count("<output>") == 2  # one per line: the script fills them in order


def test_long_names_are_cut_and_gaps_left_out() -> None:
    dots = [Dot(50, "a tip", 0, 100), None] * 4
    cut = draw_places("t", ["a-model-with-a-long-name", "b"] * 4, {"x": dots}, top=100)
    assert "a-mo…" in cut and cut.count("<circle") == cut.count("<title>a tip") == 4
    assert "+ 2 more in report.json" in draw_places("t", ["a"], {str(i): [Dot(1, "")] for i in range(10)})
    assert draw_places("t", ["a"], {"x": [None]}) == ""


def test_stacked_bars_are_to_scale_and_rows_may_share_a_name() -> None:
    rows = [("same", [{"a": 10.0, "b": 30.0}]), ("same", [{"a": 10.0}, {"b": 10.0}])]
    chart = draw_stacks("memory", rows, {"a": "red", "b": "blue"}, 80, "GiB")
    widths = [float(w) for w in re.findall(r'<rect[^>]* width="([\d.]+)"', chart)]
    assert widths == pytest.approx([widths[0], 3 * widths[0], widths[0], widths[0]], abs=0.2)
    assert chart.count(">same</text>") == 2 and "<title>b: 30.0 GiB</title>" in chart


def test_differences_keep_their_tone_and_zero_is_on_the_axis() -> None:
    dots = [Dot(-0.1, "fell", -0.2, -0.05, "a", "bad"), Dot(0.1, "rose", 0.05, 0.2, "b", "good")]
    chart = draw_changes("t", dots, note="n")
    assert '<g class="bad"><title>fell' in chart and '<g class="good"><title>rose' in chart
    assert ">-20</text>" in chart and ">0</text>" in chart and ">+20</text>" in chart


def test_numbers() -> None:
    shown = {0.0: "0", 0.12345: "0.123", 1e-5: "1e-5", 3.0: "3", 999.7: "1000", 1234.5: "1234", 12345.0: "12.3k"}
    shown |= {2.5e6: "2.5M", -7e9: "-7G", 999_700.0: "1M", float("inf"): "inf"}
    assert {value: format_number(value) for value in shown} == shown
    assert [format_number(v) for v in (True, 4096, "auto")] == ["true", "4096", "auto"]
    assert [format_percent(*v) for v in ((1, 3), (1,), (0,), (3, 3), (0.99999,))] == [
        "33.3 %", "100 %", "0 %", "100 %", "100 %"
    ]  # fmt: skip
    assert format_percent(None) is None is format_percent(3, 0)
    assert [format_duration(s) for s in (42, 185, 7620)] == ["42 s", "3 min 05 s", "2 h 07 min"]
    assert (format_points(0.375), format_points(0.01, sign=True), format_count(12345)) == ("37.5", "+1.0", "12,345")
