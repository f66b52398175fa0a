"""Generation killed in mid-flight: nothing is lost, nothing that was stored is paid for again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
from mindgpt_data.steps import generate
from mindgpt_data.testing.stub import StubServer
from test_generate import _served, _work, _write

SCRIPT = """
import json, sys
from pathlib import Path
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.steps import generate
from mindgpt_data.io.work import Work
generate.run(Work(Path(sys.argv[1])), DataSettings.model_validate(json.loads(sys.argv[2])))
"""


def _answers(work) -> int:
    import sqlite3

    if not work.store.is_file():
        return 0
    with sqlite3.connect(work.store) as store:
        try:
            return store.execute("SELECT COUNT(*) FROM answers WHERE status = 'done'").fetchone()[0]
        except sqlite3.OperationalError:  # not created yet
            return 0


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(tmp_path) -> None:
    work, data = _work(tmp_path / "killed", 40)
    plain, same = _work(tmp_path / "plain", 40)
    with StubServer(reply=_write, latency=0.1, count_by=lambda body: json.dumps(body["messages"])) as server:
        settings = _served(data, server)
        command = [sys.executable, "-c", SCRIPT, str(work.folder), settings.model_dump_json()]
        stored = []
        for enough in (5, 15, 25):
            process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
            deadline = time.monotonic() + 60
            while _answers(work) < enough and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
            stored.append(_answers(work))
            assert not work.candidates.is_file()
        assert stored == sorted(stored)
        summary = generate.run(work, settings)
        paid = Counter(server.answered.values())
        # What was on its way when the process died may be asked again; what was stored may not.
        in_flight = settings.endpoints["teacher"][0].max_in_flight
        assert sum((times - 1) * number for times, number in paid.items()) <= 3 * in_flight
        assert summary["items"] == summary["asked"] == 120
        generate.run(plain, _served(same, server))
    assert work.candidates.read_bytes() == plain.candidates.read_bytes()
