"""``kill -9`` at random: no task is lost, and no answer is paid for again once it is stored."""

import random
import signal
import subprocess
import sys
import time

import pytest
from mindgpt_data.client.store import Store
from mindgpt_data.testing.stub import StubServer

CHILD = """
import sys
from pathlib import Path
from mindgpt_data.client.request import Request, Task
from mindgpt_data.client.run import ask_all
from mindgpt_data.schema.config import EndpointSettings

def task(i):
    build = lambda: Request([{"role": "user", "content": f"ask {i}"}])
    return Task(str(i), "1", build, lambda answer: answer.texts[0])

endpoint = EndpointSettings(base_url=sys.argv[1], model="stub", max_in_flight=16)
tasks = (task(i) for i in range(int(sys.argv[3])))
for outcome in ask_all(tasks, step="ask", store=Path(sys.argv[2]), endpoints=[endpoint]):
    if not outcome.stored:
        print(outcome.key, flush=True)
"""


def keys_done(path, count):
    if not path.exists():
        return set()
    with Store(path) as store:
        return {str(i) for i in range(count) if store.find("ask", str(i), "1") is not None}


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_nothing_is_lost_and_nothing_is_paid_twice(tmp_path, kills):
    path, count, chance = tmp_path / "s.sqlite", 150 * kills, random.Random(kills)
    with StubServer(latency=0.03) as server:
        command = [sys.executable, "-c", CHILD, server.url, str(path), str(count)]
        for _ in range(kills):
            stored = keys_done(path, count)
            paid = {key: server.answered[f"ask {key}"] for key in stored}
            child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            child.stdout.readline()  # the first new answer
            time.sleep(chance.uniform(0, 0.25))
            child.send_signal(signal.SIGKILL)
            yielded = set(child.communicate()[0].split())
            now = keys_done(path, count)
            assert stored <= now, "a stored answer is gone"
            assert yielded - {""} <= now, "an answer was handed on before it was stored"
            assert {key: server.answered[f"ask {key}"] for key in stored} == paid, "paid twice"
        assert len(keys_done(path, count)) < count, "every run finished before it was killed: the test shows nothing"
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        assert len(keys_done(path, count)) == count
        lost = sum(server.answered.values()) - count
        assert lost <= 16 * kills, "only answers on their way at the kill may be paid for again"
