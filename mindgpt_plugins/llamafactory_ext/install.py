"""Which host names are rebound for a run, and by what."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

from mindgpt_plugins.core.upright import make_upright_rgb
from mindgpt_plugins.llamafactory_ext.columns import Carrier, CarryingProcessor, Wanted
from mindgpt_plugins.llamafactory_ext.guest import TrainingRun


def make_rebindings(run: TrainingRun) -> dict[tuple[str, str], Callable[[Any], Any]]:
    """``(module, name)`` → function from the host's object to ours, for :func:`.seams.rebound`."""
    from mindgpt_plugins.llamafactory_ext.dpo_trainer import make_dpo_trainer
    from mindgpt_plugins.llamafactory_ext.sft_trainer import make_sft_trainer

    return {
        ("llamafactory.train.tuner", "run_sft"): lambda f: _remember_arguments(f, run),
        ("llamafactory.train.tuner", "run_dpo"): lambda f: _remember_arguments(f, run),
        ("llamafactory.data.loader", "get_dataset_list"): _keep_names,
        ("llamafactory.data.converter", "get_dataset_converter"): lambda f: _carry_past_conversion(f, run),
        ("llamafactory.data.loader", "_get_dataset_processor"): lambda f: _carry_past_tokenisation(f, run),
        ("llamafactory.data.mm_plugin", "MMPluginMixin._preprocess_image"): show_upright,
        ("llamafactory.train.sft.workflow", "CustomSeq2SeqTrainer"): lambda c: make_sft_trainer(c, run),
        ("llamafactory.train.dpo.trainer", "CustomDPOTrainer"): lambda c: make_dpo_trainer(c, run),
    }


def _remember_arguments(train: Callable[..., Any], run: TrainingRun) -> Callable[..., Any]:
    signature = inspect.signature(train)

    @functools.wraps(train)
    def remembering(*args: Any, **kwargs: Any) -> Any:
        run.arguments = dict(signature.bind(*args, **kwargs).arguments)
        return train(*args, **kwargs)

    return remembering


def _keep_names(get_list: Callable[..., Any]) -> Callable[..., Any]:
    """The host forgets under which name a dataset was listed; mixtures and error messages need it."""

    @functools.wraps(get_list)
    def naming(dataset_names: list[str] | None, dataset_dir: Any) -> Any:
        attributes = get_list(dataset_names, dataset_dir)
        for name, attribute in zip(dataset_names or [], attributes, strict=True):
            attribute.mindgpt_name = name
        return attributes

    return naming


def _carry_past_conversion(get_converter: Callable[..., Any], run: TrainingRun) -> Callable[..., Any]:
    wanted = Wanted.of(run.section)

    @functools.wraps(get_converter)
    def carrying(name: str, dataset_attr: Any, data_args: Any) -> Any:
        dataset = getattr(dataset_attr, "mindgpt_name", dataset_attr.dataset_name)
        if dataset in run.section.media_dirs:
            data_args = copy.copy(data_args)
            data_args.media_dir = run.section.media_dirs[dataset]
        return Carrier(get_converter(name, dataset_attr, data_args), wanted, dataset)

    return carrying


def _carry_past_tokenisation(get_processor: Callable[..., Any], run: TrainingRun) -> Callable[..., Any]:
    buckets = run.section.packing_buckets if run.section.needs_difficulty() else 1

    @functools.wraps(get_processor)
    def carrying(data_args: Any, stage: str, *args: Any, **kwargs: Any) -> Any:
        packed = stage == "sft" and bool(data_args.packing)
        return CarryingProcessor(get_processor(data_args, stage, *args, **kwargs), packed, buckets)

    return carrying


def show_upright(preprocess: Callable[..., Any]) -> Callable[..., Any]:
    """The host's resizing, of the picture that every other stage shows.

    The host itself paints transparent parts black, clips deep grey to white and ignores EXIF rotation.
    """

    @functools.wraps(preprocess)
    def preprocess_upright(self: Any, image: Any, **limits: Any) -> Any:
        return preprocess(self, make_upright_rgb(image), **limits)

    return preprocess_upright
