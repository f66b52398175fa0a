"""Settings of the data pipeline: one section per verb; a recipe's ``data`` stage and ``--config`` share them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mindgpt_data.focus.settings import Focused
from mindgpt_plugins.recipe.base import DatasetRef, PathRef, Strict

Share = Annotated[float, Field(ge=0, le=1)]
Total = Annotated[int, Field(gt=0)]
ROLES = ("teacher", "judge", "solver", "embeddings")


class EndpointSettings(Strict):
    """One OpenAI-compatible server. Keys come from the environment and are never written anywhere."""

    base_url: str = Field(pattern=r"^https?://", description="e.g. http://127.0.0.1:8000/v1")
    model: str
    api_key_env: str | None = Field(None, description="Name of the environment variable that holds the key.")
    max_in_flight: int = Field(64, ge=1, description="Requests under way at once.")
    requests_per_minute: float | None = Field(None, gt=0)
    tokens_per_minute: float | None = Field(None, gt=0)
    timeout: float = Field(120.0, gt=0, description="Seconds per request.")
    max_attempts: int = Field(6, ge=1, description="Tries per request over all endpoints, invalid answers included.")
    price_in: float = Field(0.0, ge=0, description="Price of a million prompt tokens.")
    price_out: float = Field(0.0, ge=0, description="Price of a million completion tokens.")
    logprobs: bool = Field(False, description="The server returns top log-probabilities.")
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="Laid over the fields of every request; null takes a field out."
    )

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Price of so many tokens."""
        return (prompt_tokens * self.price_in + completion_tokens * self.price_out) / 1e6


class Images(Strict):
    """Which pictures."""

    path: PathRef = Field(description="Folder of pictures, or a manifest: .jsonl, or COCO .json beside its pictures.")
    source: str = Field("domain", description="Source of every record whose manifest names none.")
    max_megapixels: float = Field(100.0, gt=0, description="Larger files are dropped unread (decompression bombs).")


class ExpandSettings(Strict):
    """How ``mindgpt data tree expand`` lets a teacher grow a tree."""

    embedder: str = Field("static", description="static, or the folder of a local sentence-embedding model.")
    similarity: float = Field(
        0.88,
        gt=0,
        le=1,
        description="Cosine to a sibling from which a child is a duplicate; calibrate it per embedder.",
    )
    novelty: Share = Field(0.2, description="A node is left alone when a smaller share of its proposals is new.")
    cap: int = Field(64, ge=1, description="Children per node, hand-written ones included.")
    rounds: int = Field(8, ge=1, description="Requests per node at most.")
    proposals: int = Field(24, ge=1, le=64, description="Topics per request.")
    critic: bool = Field(True, description="The judge checks that the parent entails each child.")
    exclude: tuple[str, ...] = Field((), description="What must not become a topic.")
    temperature: float = Field(0.7, ge=0)


class TreeSettings(Strict):
    """Which label trees: ``builtin`` or a file that ``mindgpt data tree`` wrote or can import."""

    knowledge: str = "builtin"
    capability: str = "builtin"
    expand: ExpandSettings = Field(default_factory=ExpandSettings)


class DensitySettings(Strict):
    """How density is measured."""

    estimator: str = Field("model-free", description="A registered estimator: model-free, judge, pixels or yours.")
    options: dict[str, Any] = Field(default_factory=dict, description="Its keyword options.")
    weights: dict[str, float] | None = Field(None, description="Weights of the four sub-scores; default equal.")
    calibrate: bool = Field(False, description="Replace IDS by its quantile in this corpus.")


class MatchSettings(Strict):
    """Image → topics."""

    matcher: Literal["text", "judge", "clip"] = Field(
        "text",
        description="text: captions, tags and labels; judge: the MLLM descends it; clip: your CLIP or SigLIP.",
    )
    clip: str | None = Field(None, description="Path or hub id, for matcher clip.")
    verify: bool = Field(False, description="The judge verifies each candidate (fit 0 to 3).")
    limit: int = Field(3, ge=1, description="At most this many topics.")
    least_fit: int = Field(2, ge=0, le=3)
    beam: tuple[int, int, int] = Field((3, 5, 20), description="Candidates kept at level 1, 2 and 3.")
    least_similarity: float | None = Field(
        None, ge=-1, le=1, description="Cosine below which there is no match; default 0.5 for text, 0.2 for clip."
    )
    max_pixels: int = Field(524_288, gt=0, description="Pictures are scaled down to this many pixels for the judge.")


class BudgetBounds(Strict):
    """How QA are spread over images."""

    allocator: str = Field("density", description="A registered allocator: density, uniform or random.")
    n_min: int = Field(1, ge=0)
    n_max: int = Field(8, ge=1)
    gamma: float = Field(1.0, ge=0)


class BudgetSettings(BudgetBounds):
    """How many QA there are, and how they are spread over images."""

    items: int | None = Field(None, gt=0, description="Corpus budget, met exactly; default 1 + 7·IDS per image.")
    sources: dict[str, Total] = Field(
        default_factory=dict, description="Budgets by source instead of one for all, e.g. {general: 600}, met exactly."
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> BudgetSettings:
        if self.items is not None and self.sources:
            raise ValueError("items is the total of all sources; leave it out, or leave out sources")
        return self


class GenerateSettings(Strict):
    """Who writes the QA."""

    teacher: str = Field("annotations", description="A registered teacher: annotations, endpoint or yours.")
    options: dict[str, Any] = Field(default_factory=dict, description="Its keyword options.")
    max_pixels: int = Field(1_048_576, gt=0, description="Pictures are scaled down to this many pixels when sent.")
    boxes: Literal["relative_1000", "pixels"] = "relative_1000"
    capabilities: tuple[str, ...] = Field(
        (), description="Only these capability leaves or branches, e.g. perception or spatial.box; default all."
    )
    open: Share = Field(0.0, description="Share of open questions asked of a model teacher; the rest is verifiable.")
    levels: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(
        (1, 2, 3, 4, 5), min_length=1, description="Difficulties asked of a model teacher, 1 easy to 5 hard, evenly."
    )
    verbose: Share = Field(0.5, description="Share of replies that reason before they answer.")
    spare: int = Field(
        0,
        ge=0,
        description="Questions per image that a local teacher writes beyond the budget, to make good for what images "
        "cannot fill and gates drop: totals are then met exactly.",
    )
    adversarial: Share = Field(0.0, description="Share of extra adversarial twins (blank, swapped, false premise).")


class FilterSettings(Strict):
    """Quality gates in order, each with its options."""

    gates: tuple[str, ...] = Field(("rules", "duplicates", "decontaminate"), description="Registered gates, in order.")
    options: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Gate → its keyword options.")
    against: tuple[DatasetRef, ...] = Field((), description="Evaluation sets to decontaminate against: <folder>/<set>.")


class ExportSettings(Strict):
    """What the trainers load."""

    name: str = Field("data", pattern=r"^[A-Za-z0-9_-]+$", description="Sets: <name>_train, <name>_dev, <name>_test.")
    dev: Share = 0.0
    test: Share = 0.0
    split: Literal["train", "dev", "test"] | None = Field(
        None, description="Everything is of this split, and the set is called <name>."
    )
    formats: tuple[Literal["sharegpt", "verl", "hf"], ...] = ("sharegpt", "verl")

    @model_validator(mode="after")
    def _room_for_training(self) -> ExportSettings:
        if self.dev + self.test >= 1:
            raise ValueError("dev and test leave nothing to train on")
        if self.split is not None and self.dev + self.test:
            raise ValueError(f"split {self.split} is that of the whole corpus: no share can be dev or test")
        return self


class DataSettings(Strict):
    """The whole pipeline."""

    images: Images
    endpoints: dict[Literal["teacher", "judge", "solver", "embeddings"], tuple[EndpointSettings, ...]] = Field(
        default_factory=dict, description="By role, several for failover; judge and solver default to teacher."
    )
    tree: TreeSettings = Field(default_factory=TreeSettings)
    density: DensitySettings = Field(default_factory=DensitySettings)
    match: MatchSettings = Field(default_factory=MatchSettings)
    budget: BudgetSettings = Field(default_factory=BudgetSettings)
    generate: GenerateSettings = Field(default_factory=GenerateSettings)
    filter: FilterSettings = Field(default_factory=FilterSettings)
    export: ExportSettings = Field(default_factory=ExportSettings)
    focus: Focused = Field(None, description="What an evaluation found weak: matching, budget and generation go there.")

    def endpoints_for(self, role: str) -> tuple[EndpointSettings, ...]:
        """Endpoints of a role; judge and solver fall back to the teacher's.

        Raises:
            ValueError: none is configured; the message says which key to add.
        """
        found = self.endpoints.get(role) or (self.endpoints.get("teacher") if role in ("judge", "solver") else None)  # type: ignore[call-overload]
        if not found:
            raise ValueError(
                f"this needs a model, and none is configured: add endpoints.{role} (base_url, model, api_key_env)"
            )
        return tuple(found)
