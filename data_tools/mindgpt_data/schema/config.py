"""Settings of the data pipeline: one section per verb; a recipe's ``data`` stage and ``--config`` share them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mindgpt_data.schema.boxes import BoxConvention
from mindgpt_data.schema.focus import Focused
from mindgpt_plugins.core.choice import Choice, format_flow_yaml, refuse_options_beside
from mindgpt_plugins.core.image_size import SENT_PIXELS
from mindgpt_plugins.core.schema import HOW, DatasetRef, PicturesRef, Reference, Strict, VariableName

Share = Annotated[float, Field(ge=0, le=1)]
Total = Annotated[int, Field(gt=0)]
ROLES = ("teacher", "judge", "solver", "embeddings")


class EndpointSettings(Strict):
    """One OpenAI-compatible server. Keys come from the environment and are never written anywhere."""

    base_url: str = Field(
        pattern=r"^https?://", description="Address of the server up to its version, e.g. http://127.0.0.1:8000/v1."
    )
    model: str = Field(description="Name of the model in requests.")
    api_key_env: Annotated[VariableName | None, HOW] = Field(
        None, description="Name of the environment variable that holds the key."
    )
    max_in_flight: Annotated[int, HOW] = Field(64, ge=1, description="Requests that are under way at once.")
    requests_per_minute: Annotated[float | None, HOW] = Field(
        None, gt=0, description="Requests that are started per minute at most; null: no limit."
    )
    tokens_per_minute: Annotated[float | None, HOW] = Field(
        None, gt=0, description="Prompt and completion tokens per minute at most; null: no limit."
    )
    timeout: Annotated[float, HOW] = Field(120.0, gt=0, description="Seconds that one request may take.")
    max_attempts: Annotated[int, HOW] = Field(
        6, ge=1, description="Tries per request over all endpoints, invalid answers included."
    )
    price_in: Annotated[float, HOW] = Field(0.0, ge=0, description="Price of a million prompt tokens, in any currency.")
    price_out: Annotated[float, HOW] = Field(
        0.0, ge=0, description="Price of a million completion tokens, in the same currency."
    )
    logprobs: bool = Field(
        False, description="Whether the server returns top log-probabilities, which judges and gates then use."
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="Laid over the fields of every request; null takes a field out."
    )

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Price of so many tokens."""
        return (prompt_tokens * self.price_in + completion_tokens * self.price_out) / 1e6


class Images(Strict):
    """Which pictures."""

    path: PicturesRef = Field(
        description="Folder of pictures, or a manifest: .jsonl, or COCO .json beside its pictures."
    )
    source: str = Field("domain", description="Source of every record whose manifest names none.")
    max_megapixels: float = Field(100.0, gt=0, description="Larger files are dropped unread (decompression bombs).")
    boxes: BoxConvention | None = Field(
        None,
        description="What the corpus's boxes are, where a line does not say: pixels (corners, of the upright picture), "
        "relative_1000, relative_1 (shares), xywh (shares) or coco (pixels); null: COCO files are coco, and a manifest "
        "is read only if a single convention fits all of its boxes.",
    )
    drop_invalid_boxes: bool = Field(
        False, description="Boxes that cannot be what is declared are dropped and counted; else the corpus is refused."
    )


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
    proposals: int = Field(24, ge=1, le=64, description="Topics that one request asks for.")
    critic: bool = Field(True, description="The judge checks that the parent entails each child.")
    exclude: tuple[str, ...] = Field((), description="Topics that the tree must not get, in words of the user.")
    temperature: float = Field(0.7, ge=0, description="Sampling temperature of the teacher that proposes topics.")


TreeRef = Annotated[str, Reference("path", but="builtin")]


class TreeSettings(Strict):
    """Which label trees: ``builtin`` or a file that ``mindgpt data tree`` wrote or can import."""

    knowledge: TreeRef = Field(
        "builtin", description="Knowledge tree: `builtin`, or a file that `mindgpt data tree` wrote."
    )
    capability: TreeRef = Field(
        "builtin", description="Capability tree: `builtin`, or a file that `mindgpt data tree` wrote."
    )
    expand: ExpandSettings = Field(default_factory=ExpandSettings)


class EstimatorChoice(Choice):
    """What measures density."""

    of: ClassVar[str] = "estimator"
    key: ClassVar[str] = "estimator"


class DensitySettings(Strict):
    """How density is measured."""

    estimator: EstimatorChoice = Field(
        EstimatorChoice(name="model-free"), description="What measures density: model-free, judge, pixels or yours."
    )
    weights: dict[str, float] | None = Field(None, description="Weights of the four sub-scores; default equal.")
    calibrate: bool = Field(False, description="Replace IDS by its quantile in this corpus.")

    @model_validator(mode="before")
    @classmethod
    def _one_notation(cls, value: Any) -> Any:
        return refuse_options_beside(value, EstimatorChoice, cls.model_fields["estimator"].default.name)


class MatchSettings(Strict):
    """Image → topics."""

    matcher: Literal["text", "judge", "clip"] = Field(
        "text",
        description="text: captions, tags and labels; judge: the MLLM descends it; clip: your CLIP or SigLIP.",
    )
    clip: str | None = Field(
        None, description="Folder or hub id of a CLIP or SigLIP model; needed for matcher clip, and read by no other."
    )
    verify: bool = Field(False, description="The judge verifies each candidate (fit 0 to 3).")
    limit: int = Field(3, ge=1, description="Topics that one picture gets at most.")
    least_fit: int = Field(
        2, ge=0, le=3, description="Least fit of a topic, 0 to 3, in the eyes of the judge that verifies it."
    )
    beam: tuple[int, int, int] = Field(
        (3, 5, 20), description="Candidates that are kept at level 1, 2 and 3 of the tree."
    )
    least_similarity: float | None = Field(
        None, ge=-1, le=1, description="Cosine below which there is no match; default 0.5 for text, 0.2 for clip."
    )
    max_pixels: int = Field(524_288, gt=0, description="Pictures are scaled down to this many pixels for the judge.")


class AllocatorChoice(Choice):
    """What spreads a corpus budget over the images."""

    of: ClassVar[str] = "allocator"
    key: ClassVar[str] = "allocator"


class BudgetBounds(Strict):
    """How QA are spread over images."""

    allocator: AllocatorChoice = Field(
        AllocatorChoice(name="density"), description="What spreads the budget: density, uniform, random or yours."
    )
    n_min: int = Field(1, ge=0, description="QA per image at least.")
    n_max: int = Field(8, ge=1, description="QA per image at most.")
    gamma: float = Field(
        1.0, ge=0, description="Sharpness: an image's share goes with IDS^gamma, 0 treats all images alike."
    )

    @model_validator(mode="after")
    def _bounds_beside(self) -> Self:
        for bound in ("n_min", "n_max", "gamma"):
            if bound in self.allocator.options:
                raise ValueError(f"{bound} is a key of `budget`, whatever allocates; write budget: {{{bound}: …}}")
        if self.n_min > self.n_max:
            raise ValueError(f"n_min {self.n_min} is above n_max {self.n_max}; no picture can have that many questions")
        return self


class BudgetSettings(BudgetBounds):
    """How many QA there are, and how they are spread over images."""

    items: int | None = Field(None, gt=0, description="Corpus budget, met exactly; default 1 + 7·IDS per image.")
    sources: dict[str, Total] = Field(
        default_factory=dict, description="Budgets by source instead of one for all, e.g. {general: 600}, met exactly."
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Self:
        if self.items is not None and self.sources:
            raise ValueError("items is the total of all sources; leave it out, or leave out sources")
        return self


class TeacherChoice(Choice):
    """Who writes the QA."""

    of: ClassVar[str] = "teacher"
    key: ClassVar[str] = "teacher"


class GenerateSettings(Strict):
    """Who writes the QA, and of what kind they are."""

    teacher: TeacherChoice = Field(
        TeacherChoice(name="annotations"), description="Who writes the QA: annotations, endpoint or yours."
    )
    max_pixels: int = Field(SENT_PIXELS, gt=0, description="Pictures are scaled down to this many pixels when sent.")
    boxes: Literal["relative_1000", "pixels"] = Field(
        "relative_1000",
        description="Coordinates of boxes in questions and answers: thousandths of the picture, or pixels of "
        "it as it is shown.",
    )
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

    @model_validator(mode="before")
    @classmethod
    def _one_notation(cls, value: Any) -> Any:
        return refuse_options_beside(value, TeacherChoice, cls.model_fields["teacher"].default.name)


class GateChoice(Choice):
    """A quality gate."""

    of: ClassVar[str] = "gate"


GATES = tuple(GateChoice(name=name) for name in ("rules", "duplicates", "decontaminate"))
"""Gates that need no model, in the order in which the cheap ones come first."""


class FilterSettings(Strict):
    """Quality gates in order, each with its options."""

    gates: tuple[GateChoice, ...] = Field(
        GATES, description="Gates in order, e.g. [rules, {name: judge, options: {least: 2}}]."
    )
    against: tuple[DatasetRef, ...] = Field((), description="Evaluation sets to decontaminate against: <folder>/<set>.")

    @model_validator(mode="before")
    @classmethod
    def _one_notation(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "options" in value:
            options = dict(value["options"] or {})
            gates = [
                gate if gate not in options else {"name": gate, "options": options.pop(gate)}
                for gate in value.get("gates", [one.name for one in GATES])
            ]
            gates += [{"name": gate, "options": own} for gate, own in options.items()]
            raise ValueError(f"options lie with their gates; write gates: {format_flow_yaml(gates)}")
        return value

    @model_validator(mode="after")
    def _named_once(self) -> FilterSettings:
        names = [gate.name for gate in self.gates]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"gates: {twice[0]} is named twice; a funnel tells its rows by the gate's name")
        return self


class ExportSettings(Strict):
    """What the trainers load."""

    name: str = Field("data", pattern=r"^[A-Za-z0-9_-]+$", description="Sets: <name>_train, <name>_dev, <name>_test.")
    dev: Share = Field(0.0, description="Share of the rows that goes into <name>_dev.")
    test: Share = Field(0.0, description="Share of the rows that goes into <name>_test.")
    split: Literal["train", "dev", "test"] | None = Field(
        None, description="Everything is of this split, and the set is called <name>."
    )
    formats: tuple[Literal["sharegpt", "verl", "hf"], ...] = Field(
        ("sharegpt", "verl"),
        description="What is written: sharegpt for LLaMA-Factory, verl for RL, hf for Hugging Face datasets.",
    )

    @model_validator(mode="after")
    def _room_for_training(self) -> ExportSettings:
        if self.dev + self.test >= 1:
            raise ValueError("dev and test leave nothing to train on")
        if self.split is not None and self.dev + self.test:
            raise ValueError(f"split {self.split} is that of the whole corpus: no share can be dev or test")
        return self


class DataSettings(Strict):
    """The whole pipeline."""

    images: Images = Field(description="Which pictures.")
    endpoints: dict[Literal["teacher", "judge", "solver", "embeddings"], tuple[EndpointSettings, ...]] = Field(
        default_factory=dict, description="By role, several for failover; judge and solver default to teacher."
    )
    tree: TreeSettings = Field(default_factory=TreeSettings)
    density: DensitySettings = Field(default_factory=DensitySettings)
    match: MatchSettings = Field(default_factory=MatchSettings, description="How pictures find their topics.")
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
