"""The ``mindgpt:`` section of a LLaMA-Factory YAML: our settings, checked before the host is imported."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mindgpt_patches.catalog import PatchesError, resolve_modes
from pydantic import Field, ValidationError

from mindgpt_plugins.core.choice import find_choices
from mindgpt_plugins.core.patch_modes import Patches
from mindgpt_plugins.core.registry import check_options, get_registered, load_plugins
from mindgpt_plugins.core.schema import Strict
from mindgpt_plugins.curriculum.config import GroupedMixtureChoice, SamplerChoice
from mindgpt_plugins.families import Thinking
from mindgpt_plugins.guards.config import LossGuard
from mindgpt_plugins.losses.config import KLConfig, LossChoice


class LlamaFactorySettingsError(ValueError):
    """The section, or the host setting it meets, is wrong; one line with cause and fix."""


class DatasetColumns(Strict):
    """Names of the columns of the user's dataset that describe a row."""

    source: str = Field("source", description="Column with the source of a row.")
    difficulty: str = Field("difficulty", description="Column with the difficulty of a row, larger is harder.")
    uid: str = Field("uid", description="Column with the identity of a row.")


class Section(Strict):
    """Everything under ``mindgpt:``."""

    plugins: tuple[str, ...] = Field((), description="Modules or .py files to import in every rank.")
    columns: DatasetColumns = Field(
        DatasetColumns(), description="Names of the columns of your data set that describe a row."
    )
    sources: tuple[str, ...] | None = Field(None, description="Declared sources; default: those found in the data.")
    curriculum: SamplerChoice | None = Field(
        None, description="Order of the samples. Default: the host's own, or `shuffled` with a mixture."
    )
    mixture: GroupedMixtureChoice | None = Field(
        None, description="Share of each source or data set. Default: as many samples as each has."
    )
    loss: LossChoice | None = Field(
        LossChoice(name="weighted_ce"), description="What supervised training minimises; null: the host's own loss."
    )
    kl: KLConfig | None = Field(None, description="Anchor to a frozen reference on some sources; null: none.")
    media_dirs: dict[str, str] = Field(
        default_factory=dict, description="Dataset → folder of its images, where one `media_dir` is not enough."
    )
    check_template: bool = Field(
        True, description="Whether a template that trains another markup than the model's own asks stops the run."
    )
    thinking: Thinking = Field(
        "model", description="How the model's own chat template will be switched when it is asked; on, off or model."
    )
    packing_buckets: int = Field(
        4, ge=1, description="With packing and a curriculum: a pack's rows come from one of so many difficulty buckets."
    )
    metrics_path: str | None = Field(
        None,
        description="File that metrics are appended to, one JSON line per step. Default: metrics.jsonl in output_dir.",
    )
    guard: LossGuard = Field(LossGuard(), description="What happens when the loss jumps: ignore, warn or stop.")
    patches: Patches = Field(default_factory=dict, description="Patch → auto, on or off; default: all auto.")
    trace: str | None = Field(None, description="Write what every step consumed to <trace>.rank<k>.jsonl.")

    def needs_source(self) -> bool:
        """Whether every row must say its source."""
        weights = self.loss is not None and bool(self.loss.options.get("weights"))
        by_source = self.mixture is not None and self.mixture.by == "source"
        return weights or by_source or self.kl is not None or self.sources is not None

    def needs_difficulty(self) -> bool:
        """Whether every row must have a difficulty."""
        return self._curriculum_says("needs_difficulty")

    def needs_length(self) -> bool:
        """Whether the sampler must know each row's length."""
        return self._curriculum_says("needs_length")

    def needs_losses(self) -> bool:
        """Whether the sampler must hear of training losses."""
        return self._curriculum_says("needs_losses")

    def orders(self) -> bool:
        """Whether the order of the samples is ours."""
        return self.curriculum is not None or self.mixture is not None

    def signal(self) -> str | None:
        """What the mixture must hear of: ``train_loss``, ``eval_loss``, ``eval_accuracy`` or nothing."""
        if self.mixture is None:
            return None
        option = inspect.signature(get_registered("mixture", self.mixture.name)).parameters.get("signal")
        return None if option is None else str(self.mixture.options.get("signal", option.default))

    def _curriculum_says(self, attribute: str) -> bool:
        return self.curriculum is not None and bool(
            getattr(get_registered("sampler", self.curriculum.name), attribute, False)
        )


def parse_section(raw: Any) -> Section:
    """Validate the section and the names and options it uses; imports the listed plugins first.

    Raises:
        SettingsError: every fault, one line each.
        RegistryError: an unknown sampler, mixture or loss, or an option it does not have.
        PluginError: a plugin raised on import.
    """
    from mindgpt_plugins.core.overrides import describe_errors

    try:
        section = Section.model_validate({} if raw is None else raw)
    except ValidationError as error:
        raise LlamaFactorySettingsError("; ".join(describe_errors(error, Section, "mindgpt"))) from None
    load_plugins(section.plugins)
    check_names(section)
    return section


def check_names(section: Section) -> None:
    """Resolve every registered name the section uses.

    Raises:
        RegistryError: an unknown name or option, with the nearest known one.
    """
    for _, choice in find_choices(section):
        check_options(choice.of, choice.name, choice.options)


def check_host_arguments(section: Section, host: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Refuse combinations in which a part of ours would silently not act.

    Args:
        section: ours.
        host: the rest of the YAML, LLaMA-Factory's own keys.
        environment: process environment, for the host's switches.

    Raises:
        SettingsError: naming the two settings that exclude each other.
    """
    on = {"1", "true", "y", "yes"}
    for name, why in (
        ("USE_MCA", "Megatron has a trainer of its own: no curriculum, mixture, loss, kl or per-source logs there"),
        ("USE_V1", "the v1 trainer has no seams for it"),
        ("USE_RAY", "plugins are not loaded in its Ray actors"),
        ("USE_KT", "KTransformers training is not supported"),
    ):
        if environment.get(name, "").lower() in on:
            raise LlamaFactorySettingsError(
                f"mindgpt: does not work with {name}=1 ({why}); unset it or remove the section"
            )
    stage = host.get("stage", "sft")
    if stage not in ("sft", "dpo"):
        raise LlamaFactorySettingsError(
            f"mindgpt: supports stage sft and dpo, not {stage!r}; remove the section for this stage"
        )
    try:
        resolve_modes(section.patches, stage)
    except PatchesError as error:
        raise LlamaFactorySettingsError(f"mindgpt.{error}") from None
    refuse = {
        "use_hyper_parallel": "another trainer is used",
        "use_unsloth": "its patched forward returns no logits",
        "logging_nan_inf_filter": "it logs a loss that is not finite as the mean of those before",
    }
    if section.loss is not None and stage == "sft":
        # Each of these changes the host's loss, which ours replaces: it would silently not act.
        own = ("use_dft_loss", "use_eaft_loss", "use_asft_loss", "label_smoothing_factor", "moe_aux_loss_coef")
        refuse |= dict.fromkeys(own, "set mindgpt.loss: null to use it")
    if section.orders():
        refuse |= {
            "disable_shuffling": "the curriculum decides the order",
            "streaming": "no sampler is consulted",
            "dataloader_drop_last": "it drops samples that the curriculum promises to visit",
            "ignore_data_skip": "a resumed run would see other samples than a straight one",
            "auto_find_batch_size": "the order of a step depends on the batch size",
        }
        if host.get("train_sampling_strategy", "random") != "random":
            raise LlamaFactorySettingsError("mindgpt.curriculum: excludes train_sampling_strategy; remove one of them")
        accelerator = host.get("accelerator_config")
        for key in ("split_batches", "dispatch_batches"):
            if isinstance(accelerator, Mapping) and accelerator.get(key):
                raise LlamaFactorySettingsError(
                    f"mindgpt.curriculum: excludes accelerator_config.{key}, which deals otherwise"
                )
    for key, why in refuse.items():
        if host.get(key):
            raise LlamaFactorySettingsError(f"mindgpt: cannot be combined with {key} ({why})")
    if host.get("streaming"):
        _check_streaming(section, host)
    if host.get("packing") or host.get("neat_packing"):
        _check_packing(section, host)
    _check_feedback(section, host, stage)
    if stage == "dpo":
        if section.kl is not None or (section.loss is not None and "loss" in section.model_fields_set):
            raise LlamaFactorySettingsError(
                "mindgpt.loss and mindgpt.kl act on stage sft; with dpo use pref_loss, pref_ftx, …"
            )
    elif section.kl is not None and section.loss is None:
        raise LlamaFactorySettingsError("mindgpt.kl: needs a loss of ours; remove `loss: null`")


def _check_streaming(section: Section, host: Mapping[str, Any]) -> None:
    """Refuse host settings under which streamed pictures break in the middle of loading."""
    accelerator = host.get("accelerator_config")
    if not int(host.get("dataloader_num_workers") or 0):
        raise LlamaFactorySettingsError(
            "mindgpt: streaming needs dataloader_num_workers: 1 or more (the host makes so many shards)"
        )
    if not isinstance(accelerator, Mapping) or accelerator.get("dispatch_batches") is not False:
        raise LlamaFactorySettingsError(
            "mindgpt: streaming needs accelerator_config: {dispatch_batches: false}; one rank would cut other ranks' "
            "pictures at the wrong place"
        )
    if section.sources is None:
        raise LlamaFactorySettingsError(
            "mindgpt.sources: list them when streaming, because the data cannot be looked through"
        )
    if section.trace is not None:
        raise LlamaFactorySettingsError(
            "mindgpt.trace: does not go with streaming, because the data cannot be looked through"
        )


def _check_packing(section: Section, host: Mapping[str, Any]) -> None:
    """Refuse what would be lost in packs: they keep source, dataset and mean difficulty, but not where samples end."""
    lost = {
        "loss.length_weighting": section.loss is not None
        and section.loss.options.get("length_weighting", "token") != "token",
        "trace": section.trace is not None,
        f"curriculum {section.curriculum.name if section.curriculum else ''}": section.needs_length(),
    }
    for what, asked in lost.items():
        if asked:
            raise LlamaFactorySettingsError(
                f"mindgpt.{what}: does not go with packing, which hides the single samples; remove one"
            )
    if section.orders() and not host.get("neat_packing"):
        raise LlamaFactorySettingsError(
            "mindgpt: a curriculum or mixture goes with neat_packing only; plain packing lets samples see each other"
        )


def _check_feedback(section: Section, host: Mapping[str, Any], stage: str) -> None:
    """Refuse a sampler or mixture whose measurements would never come."""
    signal = section.signal()
    if section.needs_losses() or signal == "train_loss":
        what = f"curriculum {section.curriculum.name}" if section.curriculum and section.needs_losses() else "mixture"
        if stage != "sft" or section.loss is None:
            raise LlamaFactorySettingsError(
                f"mindgpt.{what}: follows the training loss of each source, which only stage sft with a loss of ours "
                "measures; use another curriculum, or signal eval_loss for a mixture"
            )
    if signal == "train_loss" and section.mixture is not None and section.mixture.by == "dataset":
        raise LlamaFactorySettingsError(
            "mindgpt.mixture: train_loss is measured by source; set by: source or a signal of eval_…"
        )
    if signal in ("eval_loss", "eval_accuracy"):
        missing = [key for key in ("eval_dataset", "eval_on_each_dataset") if not host.get(key)]
        if host.get("eval_strategy", "no") in ("no", False, None):
            missing.append("eval_strategy")
        if signal == "eval_accuracy" and not host.get("compute_accuracy"):
            missing.append("compute_accuracy")
        if missing:
            raise LlamaFactorySettingsError(
                f"mindgpt.mixture: signal {signal} needs the host's {', '.join(missing)} (eval_data in a recipe)"
            )
