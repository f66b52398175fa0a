"""One run of ``ask_all`` against a stub: prints seconds, its own CPU seconds and rows as JSON.

usage: with_ours.py URL ROWS IN_FLIGHT
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from mindgpt_data.client.request import Request, Task
from mindgpt_data.client.run import ask_all
from mindgpt_data.client.structured import make_answer_parser, make_answer_schema
from mindgpt_data.schema.config import EndpointSettings
from pydantic import BaseModel

TEXT = "Write one question about item {i} and its answer. " + "The picture shows a street with cars and signs. " * 6


class QA(BaseModel):
    """What is asked for."""

    question: str
    answer: str


def task(i: int) -> Task[QA]:
    def build() -> Request:
        return Request([{"role": "user", "content": TEXT.format(i=i)}], schema=SCHEMA, max_tokens=128)

    return Task(f"row-{i}", "1", build, PARSE)


SCHEMA, PARSE = make_answer_schema(QA), make_answer_parser(QA)

if __name__ == "__main__":
    url, rows, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    endpoint = EndpointSettings(base_url=url, model="stub", max_in_flight=in_flight)
    list(ask_all([], step="warm", store=Path(tempfile.mkdtemp()) / "warm.sqlite", endpoints=[endpoint]))  # imports
    with tempfile.TemporaryDirectory() as folder:
        started, cpu = time.perf_counter(), time.process_time()
        tasks = (task(i) for i in range(rows))
        done = sum(1 for _ in ask_all(tasks, step="ask", store=Path(folder) / "store.sqlite", endpoints=[endpoint]))
        print(json.dumps({"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "rows": done}))
