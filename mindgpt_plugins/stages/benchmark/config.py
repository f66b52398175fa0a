"""Schema of the ``benchmark`` stage."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mindgpt_plugins.core.schema import HOW, ModelRef, PathRef, Strict, VariableName
from mindgpt_plugins.generation.config import GeneratingStage
from mindgpt_plugins.stages.benchmark.catalogue import BENCHMARKS, find_benchmark
from mindgpt_plugins.stages.evaluate.config import EvaluationRef

_OURS = {
    "model": "model",
    "model_id": "model",
    "api_url": "server",
    "api_key": "key_env",
    "eval_type": "server",
    "eval_backend": "benchmarks",
    "datasets": "benchmarks",
    "limit": "limit",
    "seed": "seed",
    "eval_batch_size": "batch_size",
    "work_dir": None,
    "no_timestamp": None,
    "use_cache": None,
    "rerun_review": None,
    "dry_run": None,
    "ignore_errors": None,
}
"""Keys of EvalScope's task config that we set, and the key of ours that decides them."""


class BenchmarkGate(Strict):
    """Forgetting gate: no benchmark may fall against an earlier ``benchmark`` stage that asked the same rows."""

    before: EvaluationRef = Field(description="The `benchmark` stage of the model to compare with.")
    groups: Literal["set", "capability"] = Field("set", description="Judge every benchmark, or each of its categories.")
    margin: float = Field(0.03, ge=0, description="Largest accepted loss per group, as a share (0.03 = 3 points).")
    on_fail: Literal["stop", "continue"] = Field(
        "stop", description="What a failed gate does: stop the recipe, or continue and only report it."
    )


class BenchmarkConfig(GeneratingStage):
    """Public benchmarks through EvalScope, each also with its pictures blanked."""

    kind: Literal["benchmark"]
    model: ModelRef | None = Field(None, description="Model to start a server for; or give `server`.")
    server: str | None = Field(None, description="URL of a running OpenAI-compatible server, e.g. http://host:8000.")
    served_name: str | None = Field(None, description="Model name at `server`; by default the first it lists.")
    key_env: Annotated[VariableName | None, HOW] = Field(
        None, description="Environment variable with the API key of `server`."
    )
    benchmarks: list[str] = Field(list(BENCHMARKS), min_length=1, description=f"Of {', '.join(BENCHMARKS)}.")
    data: dict[str, PathRef] = Field(
        default_factory=dict, description="Benchmark → local copy of its data set; others come from the hub."
    )
    limit: int | None = Field(None, ge=1, description="First rows of every subset of a benchmark; all by default.")
    blank: bool = Field(
        True,
        description="Every question is asked once more with a grey picture, to tell what is answered without looking.",
    )
    engine_python: Annotated[str | None, HOW] = Field(
        None, description="Interpreter that runs the model (vLLM, or transformers); default: that of `mindgpt`."
    )
    batch_size: Annotated[int, HOW] = Field(32, ge=1, description="Requests that are under way at once.")
    max_new_tokens: int = Field(2048, ge=1, description="Benchmarks ask for reasoning before the answer.")
    timeout: Annotated[float, HOW] = Field(3600.0, gt=0, description="Seconds that one reply may take.")
    harness: dict[str, Any] = Field(
        default_factory=dict,
        description="EvalScope's own task keys, e.g. {judge: {…}, dataset_args: {mmbench: {subset_list: [en]}}}.",
    )
    sources: dict[str, str] = Field(
        default_factory=dict,
        description="Benchmark → the source it counts for in gates and reports. Default: general for all.",
    )
    general: list[str] = Field(["general"], description="Sources whose ability must be kept; a gate judges them.")
    domain: list[str] = Field(["domain"], description="Sources that are to be learnt.")
    gate: BenchmarkGate | None = Field(
        None, description="What no benchmark may lose against an earlier stage; null: nothing is judged."
    )

    @field_validator("benchmarks")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        for name in value:
            find_benchmark(name)
        if len({*value}) < len(value):
            raise ValueError("a benchmark is named twice")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.model is None) == (self.server is None):
            raise ValueError("give either `model` or `server`")
        arguments = self.harness.get("dataset_args", {})
        for key, names in (("data", self.data), ("sources", self.sources), ("harness.dataset_args", arguments)):
            for name in names:
                find_benchmark(name)
                if name not in self.benchmarks:
                    raise ValueError(f"{key}: {name} is not among `benchmarks`")
        for key in self.harness:
            if key in _OURS:
                instead = f"; use `{_OURS[key]}` of the stage" if _OURS[key] else " by the stage, so that it can resume"
                raise ValueError(f"harness.{key} is set{instead}")
        return self
