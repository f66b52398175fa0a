"""What our SFT and DPO trainers share: curriculum, per-source sums, ``metrics.jsonl``, state in each checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mindgpt_patches import PatchOutcome, PatchRefused, catalog, records

from mindgpt_plugins.core.files import write_json
from mindgpt_plugins.core.metrics import append_record
from mindgpt_plugins.curriculum.base import CurriculumError, Sampler, require_same_settings
from mindgpt_plugins.curriculum.mixture import Moving
from mindgpt_plugins.guards.divergence import TrainingDiverged
from mindgpt_plugins.guards.monitor import Checkpoints, TrainingMonitor
from mindgpt_plugins.guards.watch import LossWatch
from mindgpt_plugins.llamafactory_ext import checkpoints, linear_head, ordering
from mindgpt_plugins.llamafactory_ext.callback import HostTrainerCallback
from mindgpt_plugins.llamafactory_ext.columns import (
    DATASET,
    DIFFICULTY,
    ROW,
    SOURCE,
    UID,
    CarryingCollator,
    DataError,
    count_row_tokens,
)
from mindgpt_plugins.llamafactory_ext.feedback import Feedback
from mindgpt_plugins.llamafactory_ext.frozen_parts import freeze_model_parts
from mindgpt_plugins.llamafactory_ext.settings import LlamaFactorySettingsError, Section
from mindgpt_plugins.llamafactory_ext.stopping import SaveOnSignalCallback
from mindgpt_plugins.llamafactory_ext.template_check import check_template
from mindgpt_plugins.llamafactory_ext.template_choice import OWN
from mindgpt_plugins.llamafactory_ext.template_compare import HARMLESS
from mindgpt_plugins.llamafactory_ext.template_sides import TemplateError
from mindgpt_plugins.llamafactory_ext.trained_rows import record_trained_rows

if TYPE_CHECKING:
    from transformers import Trainer as _Host
else:
    _Host = object


def advise_on_training(lr: float, max_grad_norm: float, half: bool, traced: bool) -> list[str]:
    """What to try when loss or gradient are not finite; the first is most often it."""
    found = [f"a lower learning rate: lr: {lr / 10:g} (now {lr:g}), or a longer warmup"]
    clipped = f"now {max_grad_norm:g}" if max_grad_norm else "off now"
    found.append(f"harder clipping: llamafactory: {{max_grad_norm: {max_grad_norm / 4 or 0.25:g}}} ({clipped})")
    if half:
        found.append("float32, to see whether half precision overflows: llamafactory: {bf16: false, fp16: false}")
    if not traced:
        found.append("a look at the batch: trace: true names the rows of every step")
    return found


@dataclass
class TrainingRun:
    """One training run: our settings and the host's arguments as they become known."""

    section: Section
    arguments: dict[str, Any] = field(default_factory=dict)
    patches: list[PatchOutcome] = field(default_factory=list)
    """What came of each patch so far."""


class HostTrainerMixin(_Host):  # type: ignore[misc]
    """Mixin in front of a LLaMA-Factory trainer; :meth:`settle` is called once its ``__init__`` is done."""

    run: TrainingRun
    sampler: Sampler | None = None
    feedback: Feedback | None = None
    without_logits = False
    """Loss or log-probabilities come straight from hidden states."""
    data_collator: Any
    train_dataset: Any

    def settle(self) -> None:
        """Read the training set's columns, wrap the collator, build the curriculum, register the callback."""
        section, dataset = self.run.section, self.train_dataset
        self.sources: tuple[str, ...] = ()
        self._uids: list[str] = []
        if dataset is not None:
            columns = dataset.column_names if hasattr(dataset, "unique") else None  # None: streaming
            if columns is not None and SOURCE not in columns:
                raise DataError(
                    f"the tokenised dataset has no {SOURCE} column: it was prepared without the mindgpt section; "
                    "remove tokenized_path or prepare it again"
                )
            if columns is not None and self.is_world_process_zero():
                print(record_trained_rows(dataset, self.stage_folder()), flush=True)
            self._freeze()
            self._check_template()
            self.sources = self._declared_sources(None if columns is None else sorted(dataset.unique(SOURCE)))
            if section.trace is not None:
                self._uids = sorted(dataset.unique(UID))
        self.data_collator = CarryingCollator(
            self.data_collator,
            {name: i for i, name in enumerate(self.sources)},
            {uid: i for i, uid in enumerate(self._uids)},
        )
        path = Path(section.metrics_path or Path(self.args.output_dir) / "metrics.jsonl")
        if dataset is not None and section.orders():
            self.sampler = self._build_sampler()
            probes = list(self.eval_dataset) if isinstance(self.eval_dataset, dict) else []
            listing = path.with_name("mixture.jsonl")
            self.feedback = Feedback(self.sampler, self.sources, probes, self.accelerator, listing)
            if self.sampler.measures == "sample":
                self.train_dataset = dataset.add_column(ROW, list(range(len(dataset))))
        self._sums = torch.zeros(len(self.sources), 3, dtype=torch.float64)
        self._difficulty = torch.zeros(2, dtype=torch.float64)
        self._rows: tuple[int, list[str]] = (0, [])
        self.monitor = self._build_monitor()
        self.add_callback(HostTrainerCallback(self, path))
        self.add_callback(SaveOnSignalCallback())

    def _freeze(self) -> None:
        """Before the host makes an optimizer."""
        asked = self.run.arguments["finetuning_args"]
        network = self.accelerator.unwrap_model(self.model)
        mended = freeze_model_parts(
            network,
            tower=asked.freeze_vision_tower,
            projector=asked.freeze_multi_modal_projector,
            language=asked.freeze_language_model,
        )
        if mended is not None and self.is_world_process_zero():
            print(f"mindgpt: {mended}", flush=True)

    def _check_template(self) -> None:
        """On every rank, from local files: all stop together.

        Raises:
            LlamaFactorySettingsError: the template trains another markup than the model's own chat template asks.
        """
        data, model = self.run.arguments["data_args"], self.run.arguments["model_args"].model_name_or_path
        if not self.run.section.check_template or data.template == OWN:  # its rows are laid out by now
            return
        for name in data.dataset or ():
            try:
                found = check_template(
                    model,
                    data.template,
                    Path(str(data.dataset_dir)),
                    name,
                    default_system=data.default_system,
                    thinking=self.run.section.thinking,
                )
            except TemplateError as error:
                said = f"{name}: the chat template was not compared: {error}"
            else:
                if found.fault is not None:
                    raise LlamaFactorySettingsError(
                        f"set {name!r}: {found.describe(model)}. `check_template: false` trains another "
                        "markup than the model's own"
                    )
                said = f"{name}: template {data.template!r} is the model's own on {found.rows} rows"
                said += "".join(f"; {count} × {HARMLESS[note]}" for note, count in found.notes.items())
            if self.is_world_process_zero():
                print(f"mindgpt: {said}", flush=True)

    def decide_linear_head(self, obstacle: str | None, sequences: int = 1) -> bool:
        """Decide once whether logits are made, say so and note it in ``patches.json``.

        Args:
            obstacle: what speaks against it in this run.
            sequences: sequences per sample of a batch.
        """
        data = self.run.arguments["data_args"]
        if obstacle is None and self.args.n_gpu > 1:
            obstacle = "torch.nn.DataParallel gathers logits; start one process per GPU"
        tokens = self.args.per_device_train_batch_size * sequences * data.cutoff_len
        wanted, network = self.run.section.patches, self.accelerator.unwrap_model(self.model)
        try:
            self.run.patches[:] = catalog.confirm_outcomes(self.run.patches, wanted, network)
            outcome = linear_head.decide_hidden_loss(wanted.get(linear_head.NAME, "auto"), network, tokens, obstacle)
        except PatchRefused as error:
            raise LlamaFactorySettingsError(f"mindgpt.patches: {error}") from None
        self.run.patches.append(outcome)
        if self.is_world_process_zero():
            print(f"mindgpt: {outcome.name}: {outcome.state} ({outcome.reason})", flush=True)
            records.write_outcomes(self.run.patches, self.stage_folder())
        return outcome.state == "applied"

    def stage_folder(self) -> Path:
        """Where the records of this run lie."""
        path = self.run.section.metrics_path
        return Path(path).parent if path is not None else Path(self.args.output_dir)

    def _declared_sources(self, found: list[str] | None) -> tuple[str, ...]:
        declared = self.run.section.sources
        if found is None:
            if declared is None:
                raise DataError("mindgpt.sources: list them when streaming, because the data cannot be looked through")
            return declared
        if declared is None:
            return tuple(found)
        unknown = [name for name in found if name not in declared]
        absent = [name for name in declared if name not in found]
        if unknown or absent:
            said = (
                f"rows come from {unknown[0]!r}, which is not listed" if unknown else f"no row comes from {absent[0]!r}"
            )
            raise DataError(f"mindgpt.sources: {said}; found: {', '.join(found)}")
        return declared

    # ---- divergence --------------------------------------------------------------------------------------------

    def _build_monitor(self) -> TrainingMonitor:
        args, guard = self.args, self.run.section.guard
        # In float16 an infinite norm is how the loss scale is found: the host skips that step and goes on.
        finite = ("loss",) if args.fp16 else ("loss", "grad_norm")
        return TrainingMonitor(
            self.stage_folder(),
            finite,
            LossWatch(guard),
            guard,
            Checkpoints(Path(args.output_dir), "checkpoint-"),
            advise_on_training(args.learning_rate, args.max_grad_norm, args.bf16 or args.fp16, bool(self._uids)),
            writes=self.is_world_process_zero(),
        )

    def _judge(self, logs: dict[str, float]) -> None:
        """Stop all ranks together if one of them has a figure that is not finite.

        Raises:
            TrainingDiverged: with the step, the last good checkpoint and what to try.
        """
        fault = self.monitor.find_fault(logs)
        # The loss is a mean over ranks, but FSDP2's norm is read from a rank's own shard: ranks may disagree.
        if float(self._over_ranks(torch.tensor(float(fault is not None)))) and fault is None:
            fault = "the loss or gradient of another rank is not finite"
        step, rows = self._rows
        named = sorted(set(rows)) if step == self.state.global_step else []
        why = self.monitor.judge_step(self.state.global_step, self.state.max_steps, logs, fault, named)
        if why is not None:
            # torchrun ends the other ranks as soon as one has failed: the first has to have written its record.
            self.accelerator.wait_for_everyone()
            raise TrainingDiverged(why)

    # ---- curriculum --------------------------------------------------------------------------------------------

    def _build_sampler(self) -> Sampler:
        section, dataset, args = self.run.section, self.train_dataset, self.args
        sampler = ordering.build_section_sampler(
            section,
            list(dataset[SOURCE]),
            list(dataset[DATASET]),
            self.sources,
            difficulty=[float(x) for x in dataset[DIFFICULTY]] if section.needs_difficulty() else None,
            length=count_row_tokens(dataset) if section.needs_length() else None,
            seed=args.seed if args.data_seed is None else args.data_seed,
        )
        loader = ordering.Loader(
            args.train_batch_size,
            args.gradient_accumulation_steps,
            args.world_size,
            args.dataloader_num_workers,
            args.dataloader_prefetch_factor or 2,
        )
        ordering.start_sampler_clock(sampler, loader, loader.clock(len(sampler), args.max_steps, args.num_train_epochs))
        return sampler

    def source_shares(self) -> list[float]:
        """Share of each source in the declared mixture (the data's own shares without one)."""
        dataset = self.train_dataset
        if dataset is None or not hasattr(dataset, "unique"):  # streaming
            return [1.0 / len(self.sources)] * len(self.sources)
        counts = torch.zeros(len(self.sources), dtype=torch.float64)
        weight = [1.0] * len(dataset)
        if self.sampler is not None and self.sampler.mixture is not None:
            shares, pools = self.sampler.mixture.declared(), self.sampler.examples.pools()
            for share, pool in zip(shares, pools, strict=True):
                for position in pool:
                    weight[position] = share / len(pool)
        ids = {name: i for i, name in enumerate(self.sources)}
        counts.index_add_(0, torch.tensor([ids[s] for s in dataset[SOURCE]]), torch.tensor(weight, dtype=torch.float64))
        return (counts / counts.sum()).tolist()

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        return self.sampler if self.sampler is not None else super()._get_train_sampler(*args, **kwargs)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> Any:
        # transformers 5.5 looks for the end only after a step: resumed from the last checkpoint it would take one more.
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return None
        return super()._run_epoch(*args, **kwargs)

    # ---- logs --------------------------------------------------------------------------------------------------

    def observe(
        self, carried: dict[str, Any], sums: torch.Tensor | None = None, samples: torch.Tensor | None = None
    ) -> None:
        """Add a training micro-batch to what the next log line reports, to the trace and to the curriculum's feedback.

        Args:
            carried: our columns of the batch.
            sums: (sources, 3) cross-entropy, target tokens and KL.
            samples: (batch,) mean cross-entropy of each sample in nats per target token; NaN without a target.
        """
        if self.feedback is not None:
            self.feedback.observe(self.state.global_step + 1, carried, sums, samples)
        if sums is not None:
            self._sums = self._sums.to(sums.device) + sums
        if DIFFICULTY in carried:
            known = carried[DIFFICULTY].double()
            known = known[~known.isnan()]
            self._difficulty = self._difficulty.to(known.device)
            self._difficulty += torch.stack([known.sum(), torch.ones_like(known).sum()])
        if self._uids and UID in carried:
            step, uids = self.state.global_step + 1, [self._uids[i] for i in carried[UID].tolist()]
            self._rows = (step, [*(self._rows[1] if self._rows[0] == step else ()), *uids])
            line = {
                "step": step,
                "epoch": int(self.state.epoch or 0) if self.sampler is None else self.sampler.epoch,
                "uid": uids,
                "source": [self.sources[i] for i in carried[SOURCE].tolist()],
            }
            append_record(self.trace_path(), line)

    def trace_path(self) -> Path:
        """File of this rank's trace."""
        return Path(f"{self.run.section.trace}.rank{self.args.process_index}.jsonl")

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Add per-source figures to a training log; every rank calls it, so sums can be reduced here."""
        if "loss" in logs:
            sums, difficulty = (self._over_ranks(t) for t in (self._sums, self._difficulty))
            self._sums, self._difficulty = torch.zeros_like(self._sums), torch.zeros_like(self._difficulty)
            for name, (ce, tokens, kl) in zip(self.sources, sums.tolist(), strict=True):
                if tokens:
                    logs[f"loss/{name}"], logs[f"tokens/{name}"] = ce / tokens, int(tokens)
                    if self.run.section.kl is not None and name in self.run.section.kl.sources:
                        logs[f"kl/{name}"] = kl / tokens
            if difficulty[1]:
                logs["difficulty"] = float(difficulty[0] / difficulty[1])
            mixture = self.sampler.mixture if self.sampler is not None else None
            if isinstance(mixture, Moving):
                shares = mixture.shares_at(max(0, self.state.global_step - 1))
                logs |= {f"share/{name}": share for name, share in zip(mixture.names, shares, strict=True)}
        super().log(logs, *args, **kwargs)
        if "loss" in logs:
            self._judge(logs)

    def _over_ranks(self, value: torch.Tensor) -> torch.Tensor:
        value = value.to(self.accelerator.device)
        return (self.accelerator.reduce(value, "sum") if self.accelerator.num_processes > 1 else value).cpu()

    # ---- checkpoints -------------------------------------------------------------------------------------------

    def guest_state(self) -> dict[str, Any]:
        """What a checkpoint keeps of ours, as JSON data; all ranks call it, and get the same."""
        measured = self.feedback.state_dict() if self.feedback is not None else None  # first: the sampler hears of it
        return {
            "ranks": self.args.world_size,
            "samples_per_step": self.args.train_batch_size
            * self.args.gradient_accumulation_steps
            * self.args.world_size,
            "sources": list(self.sources),
            "sampler": self.sampler.state_dict() if self.sampler is not None else None,
            "measured": measured,
        }

    def load_guest_state(self, state: dict[str, Any]) -> None:
        """Restore, refusing a checkpoint of other data or settings."""
        mine = self.guest_state()
        same = ("samples_per_step", "sources") if self.sampler is not None else ("sources",)
        require_same_settings("training set-up", {k: mine[k] for k in same}, state)
        if self.sampler is not None:
            if state.get("sampler") is None:
                raise CurriculumError("the checkpoint was written without a curriculum; use a new output_dir")
            self.sampler.load_state_dict(state["sampler"])
        if self.feedback is not None and state.get("measured") is not None:
            self.feedback.load_state_dict(state["measured"], self.state.global_step)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        # Before the host's files: its trainer_state.json comes last and so vouches for ours too.
        state = self.guest_state()
        if self.args.should_save:
            folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / checkpoints.STATE, state)
        super()._save_checkpoint(*args, **kwargs)
