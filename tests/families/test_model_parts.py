"""What is frozen, for every family: the cut of a model, and that nothing frozen is left to train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.families import has_vision, load_generator
from mindgpt_plugins.families.parts import find_model_parts
from mindgpt_plugins.llamafactory_ext.frozen_parts import freeze_model_parts
from mindgpt_plugins.llamafactory_ext.settings import LlamaFactorySettingsError

pytest.importorskip("llamafactory")
Build = Callable[[str], Path]


def freeze_as_host(model: Any, **asked: bool) -> None:
    from llamafactory.hparams import FinetuningArguments
    from llamafactory.model.model_utils.visual import get_forbidden_modules

    forbidden = get_forbidden_modules(model.config, FinetuningArguments(**asked))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(one in name for one in forbidden))


def list_trained(model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_every_parameter_is_of_one_part(family: str, build: Build) -> None:
    folder = build(family)
    model = load_generator(str(folder))
    parts = find_model_parts(model)
    names = [*parts.tower, *parts.projector, *parts.language]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert bool(parts.tower) == bool(parts.projector) == has_vision(folder)
    assert not [name for name in parts.tower if "merger." in name and "deepstack" not in name]
    assert all("language_model" in n or "text_model" in n or "lm_head" in n or not parts.tower for n in parts.language)


@pytest.mark.parametrize("asked", [(True, True), (True, False), (False, False)])
def test_what_is_frozen_does_not_train_and_the_rest_does(asked: tuple[bool, bool], family: str, build: Build) -> None:
    model = load_generator(str(build(family)))
    tower, projector = asked
    freeze_as_host(model, freeze_vision_tower=tower, freeze_multi_modal_projector=projector)
    host = list_trained(model)
    said = freeze_model_parts(model, tower=tower, projector=projector, language=False)
    parts, trained = find_model_parts(model), list_trained(model)
    assert not trained & (parts.tower.keys() if tower else set())
    assert not trained & (parts.projector.keys() if projector else set())
    assert trained == host - (parts.tower.keys() if tower else set()) - (parts.projector.keys() if projector else set())
    assert set(parts.language) <= trained
    assert (said is not None) == (trained != host)


def test_adapters_in_a_frozen_tower_do_not_train(build: Build) -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(load_generator(str(build("gemma3"))), LoraConfig(target_modules="all-linear", r=2))
    said = freeze_model_parts(model, tower=True, projector=True, language=False)
    assert said is not None and "of the vision tower" in said
    assert list_trained(model) and not [name for name in list_trained(model) if "vision_tower" in name]


def test_a_tower_that_is_not_found_cannot_be_frozen(build: Build) -> None:
    model = load_generator(str(build("gemma3")))
    model.model.vision_tower = model.model.multi_modal_projector
    with pytest.raises(LlamaFactorySettingsError, match="no vision tower was found in Gemma3For"):
        freeze_model_parts(model, tower=True, projector=False, language=False)
