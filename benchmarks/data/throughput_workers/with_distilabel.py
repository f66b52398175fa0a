"""One distilabel pipeline against a stub: prints seconds, CPU seconds (children too) and rows as JSON.

It is spared the schema: its structured output goes through tool calls of a further package.

usage: with_distilabel.py URL ROWS IN_FLIGHT
"""

import json
import resource
import sys
import time

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

TEXT = "Write one question about item {i} and its answer. " + "The picture shows a street with cars and signs. " * 6


def cpu() -> float:
    """Seconds used by this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    url, rows, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with Pipeline(name="throughput") as pipeline:
        load = LoadDataFromDicts(data=[{"instruction": TEXT.format(i=i)} for i in range(rows)], batch_size=in_flight)
        llm = OpenAILLM(model="stub", base_url=url, api_key="none", generation_kwargs={"max_new_tokens": 128})
        load >> TextGeneration(llm=llm, input_batch_size=in_flight)
    started, before = time.perf_counter(), cpu()
    distiset = pipeline.run(use_cache=False)
    seconds = time.perf_counter() - started
    answered = sum(row["generation"] is not None for row in distiset["default"]["train"])
    print(json.dumps({"seconds": seconds, "cpu": cpu() - before, "rows": answered}))
