"""The SFT trainer: LLaMA-Factory's own class with our loss in front."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.llamafactory_ext import linear_head
from mindgpt_plugins.llamafactory_ext.columns import SOURCE, split_batch_columns
from mindgpt_plugins.llamafactory_ext.guest import HostTrainerMixin, TrainingRun
from mindgpt_plugins.llamafactory_ext.reference import make_reference_model
from mindgpt_plugins.losses.kl_anchor import KLAnchor
from mindgpt_plugins.losses.weighted_ce import Loss


def make_sft_trainer(base: type[Any], the_run: TrainingRun) -> type[Any]:
    """Subclass ``base`` (LLaMA-Factory's ``CustomSeq2SeqTrainer``) for one run."""

    class MindgptSeq2SeqTrainer(HostTrainerMixin, base):  # type: ignore[misc]
        run = the_run

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            section = the_run.section
            if section.kl is not None and kwargs.get("ref_model") is None:
                tokenizer = kwargs.get("tokenizer") or kwargs.get("processing_class")
                kwargs["ref_model"] = make_reference_model(
                    the_run, kwargs["model"], tokenizer, kwargs["finetuning_args"]
                )
            super().__init__(*args, **kwargs)
            self.settle()
            self._loss = None
            if section.loss is not None and self.train_dataset is not None:
                anchor = KLAnchor(self.sources, section.kl.sources, section.kl.beta) if section.kl else None
                kind = get_registered("loss", section.loss.name)
                self._loss = kind(self.sources, self.source_shares(), anchor, **section.loss.options)
                # A marker: Trainer then neither divides by the number of micro-batches nor leaves labels to the model.
                self.compute_loss_func = _not_called
            if self.train_dataset is not None:
                self.without_logits = self.decide_linear_head(self._obstacle())

        def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
            samples, count = super().get_batch_samples(epoch_iterator, num_batches, device)
            if self._loss is None or not samples:
                return samples, count
            count = sum(self._loss.normaliser(batch["labels"]) for batch in samples).to(device)
            if self.args.world_size > 1:
                count = self.accelerator.gather(count).sum()
            return samples, count

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            inputs, carried = split_batch_columns(inputs)
            if self._loss is None or not model.training:
                if self.compute_loss_func is _not_called:  # evaluation: the model's own token mean
                    outputs = model(**inputs)
                    return (outputs["loss"], outputs) if return_outputs else outputs["loss"]
                if model.training:
                    self.observe(carried)
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch=num_items_in_batch)
            labels = inputs.pop("labels")
            outputs = None
            if self.without_logits and not return_outputs:
                loss = self._linear_loss(model, inputs, labels, carried[SOURCE], num_items_in_batch)
            else:
                outputs = model(**inputs)
                reference = self._reference_logits(model, inputs, carried[SOURCE])
                loss = self._loss(outputs.logits, labels, carried[SOURCE], num_items_in_batch, reference)
            self.observe(carried, loss.sums, loss.samples)
            # Data parallelism averages gradients over ranks; ours add up, so undo that.
            total = loss.total * self.accelerator.num_processes
            return (total, outputs) if return_outputs else total

        def prediction_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            if self.args.predict_with_generate:
                inputs, _ = split_batch_columns(inputs)
            return super().prediction_step(model, inputs, *args, **kwargs)

        def _obstacle(self) -> str | None:
            if self._loss is None:
                return "loss: null leaves the loss to the host"
            if self._loss.anchor is not None:
                return "the KL anchor compares whole distributions and needs logits"
            return None if hasattr(self._loss, "linear") else f"{type(self._loss).__name__} has no method `linear`"

        def _linear_loss(self, model: Any, inputs: Any, labels: Any, source: Any, normaliser: Any) -> Loss:
            kind, made = self._loss, list[Loss]()
            assert kind is not None

            def compute(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
                made.append(kind.linear(hidden, weight, labels, source, normaliser, bias))
                return made[0].total

            total = linear_head.run_headless_forward(model, self.accelerator.unwrap_model(model), inputs, compute)
            return Loss(total, made[0].sums, made[0].samples)

        def _reference_logits(self, model: Any, inputs: dict[str, Any], source: torch.Tensor) -> torch.Tensor | None:
            anchor = self._loss.anchor if self._loss is not None else None
            if anchor is None:
                return None
            anchored = torch.tensor(anchor.betas, device=source.device)[source] > 0
            # One process may skip a batch without anchored rows; sharded ranks must all run the same collectives.
            if self.accelerator.num_processes == 1 and not bool(anchored.any()):
                return None
            if self.ref_model is not None:
                network, context = self.ref_model, contextlib.nullcontext()
            else:
                network, context = model, self.accelerator.unwrap_model(model).disable_adapter()
            with torch.no_grad(), context:
                return network(**inputs, use_cache=False).logits  # type: ignore[no-any-return]

    MindgptSeq2SeqTrainer.__name__ = MindgptSeq2SeqTrainer.__qualname__ = base.__name__
    return MindgptSeq2SeqTrainer


def _not_called(*args: Any, **kwargs: Any) -> Any:
    raise AssertionError("compute_loss is overridden")
