"""A helper process that answers in JSON lines."""

from __future__ import annotations

import sys

import pytest

from mindgpt_plugins.core import json_process
from mindgpt_plugins.core.json_process import HelperError, JsonProcess

DOUBLES = """
import json, os, sys
for line in sys.stdin:
    print(json.dumps({"x": 2 * json.loads(line)["x"], "pid": os.getpid()}), flush=True)
"""
ANSWERS_ONCE = DOUBLES.replace("flush=True)", "flush=True)\n    break")


def test_one_process_answers_all_questions_and_ends_when_it_is_closed():
    helper = JsonProcess([sys.executable, "-c", DOUBLES], {})
    first, second = helper.ask({"x": 2}), helper.ask({"x": 5})
    assert (first["x"], second["x"]) == (4, 10)
    assert first["pid"] == second["pid"]
    helper.close()
    assert helper.ask({"x": 1})["pid"] != first["pid"]
    helper.close()


def test_a_process_that_has_ended_is_started_again():
    helper = JsonProcess([sys.executable, "-c", ANSWERS_ONCE], {})
    pids = {helper.ask({"x": 1})["pid"] for _ in range(3)}
    assert len(pids) == 3
    helper.close()


def test_what_a_failing_process_said_is_in_the_error():
    helper = JsonProcess([sys.executable, "-c", "raise SystemExit('no such host')"], {})
    with pytest.raises(HelperError, match="gave no answer: .*no such host"):
        helper.ask({})
    with pytest.raises(HelperError, match="No such file"):
        JsonProcess(["/no/such/python"], {}).ask({})


def test_variables_can_be_given_and_taken_away(monkeypatch):
    monkeypatch.setenv("MINDGPT_TEST_GONE", "1")
    names = "{k: v for k, v in os.environ.items() if k.startswith('MINDGPT_TEST')}"
    shows = f"import json, os\ninput(); print(json.dumps({names}))"
    helper = JsonProcess([sys.executable, "-c", shows], {"MINDGPT_TEST_GONE": None, "MINDGPT_TEST_NEW": "x"})
    assert helper.ask({}) == {"MINDGPT_TEST_NEW": "x"}
    helper.close()


def test_a_helper_that_never_answers_is_ended(monkeypatch):
    monkeypatch.setattr(json_process, "PATIENCE", 0.2)
    helper = JsonProcess([sys.executable, "-c", "import time; time.sleep(60)"], {})
    with pytest.raises(HelperError, match=r"gave no answer within 0\.2 s"):
        helper.ask({})
    helper.close()
