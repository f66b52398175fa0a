"""One data-designer run against a stub: prints seconds, CPU seconds (children too) and rows as JSON.

usage: with_data_designer.py URL ROWS IN_FLIGHT
"""

import json
import resource
import sys
import tempfile
import time

import data_designer.config as dd
from data_designer.interface import DataDesigner
from pydantic import BaseModel

TEXT = (
    "Write one question about item {{ item }} and its answer. " + "The picture shows a street with cars and signs. " * 6
)


class QA(BaseModel):
    """What is asked for."""

    question: str
    answer: str


def cpu() -> float:
    """Seconds used by this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def build(url: str, in_flight: int) -> tuple[DataDesigner, dd.DataDesignerConfigBuilder]:
    """A sampled item number and a structured column, nothing else."""
    provider = dd.ModelProvider(name="stub", endpoint=url, provider_type="openai", api_key="none")
    parameters = dd.ChatCompletionInferenceParams(max_tokens=128, max_parallel_requests=in_flight)
    model = dd.ModelConfig(
        alias="stub", model="stub", provider="stub", inference_parameters=parameters, skip_health_check=True
    )
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    uniform = dd.UniformSamplerParams(low=0, high=1_000_000)
    builder.add_column(dd.SamplerColumnConfig(name="item", sampler_type=dd.SamplerType.UNIFORM, params=uniform))
    builder.add_column(dd.LLMStructuredColumnConfig(name="qa", prompt=TEXT, model_alias="stub", output_format=QA))
    return DataDesigner(artifact_path=tempfile.mkdtemp(), model_providers=[provider]), builder


if __name__ == "__main__":
    url, rows, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    designer, builder = build(url, in_flight)
    designer.create(builder, num_records=1, dataset_name="warm")  # lazy imports are not what is measured
    started, before = time.perf_counter(), cpu()
    results = designer.create(builder, num_records=rows)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "cpu": cpu() - before, "rows": len(results.load_dataset())}))
