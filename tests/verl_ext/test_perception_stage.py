import json

import pytest

from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.rl.config import RLConfig
from mindgpt_plugins.stages.rl.stage import RL
from mindgpt_plugins.verl_ext.settings import read_settings_file

BASE = {"kind": "rl", "model": "base", "train": "world/rl_train", "steps": 10}


def render(folder, **changes):
    inputs = {"base": {"model": "/models/base"}, "world": {"datasets": "/data/world"}}
    config = RLConfig.model_validate(BASE | changes)
    RL().render(config, Context(name="rl", folder=folder, inputs=inputs, seed=0))
    return read_settings_file(folder / "settings.json").perception


def test_the_section_reaches_verls_processes(tmp_path):
    assert render(tmp_path) is None
    found = render(tmp_path, perception={"token_share": 0.4, "papo": {"weight": 0.02}})
    assert found.model_dump() == {
        "weight": True, "masked_share": 0.6, "base": 0.9, "max": 2.0, "token_share": 0.4,
        "papo": {"weight": 0.02, "clip": 5.0},
    }  # fmt: skip
    assert json.loads((tmp_path / "settings.json").read_text())["perception"]["masked_share"] == 0.6


def test_unknown_keys_are_refused(tmp_path):
    with pytest.raises(ValueError, match="token_shares"):
        render(tmp_path, perception={"token_shares": 0.4})
