"""``mindgpt validate`` counts models of Llama's configuration where torchvision is a CUDA wheel beside CPU torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mindgpt_patches.cpu import SITE

from mindgpt_plugins.families import load_tokenizer

Build = Callable[[str], Path]


def test_validate_loads_llamas_configuration_in_a_plain_process(build: Build, tmp_path: Path) -> None:
    build("llama")
    turns = [{"role": "user", "content": "how many?"}, {"role": "assistant", "content": "answer: 12"}]
    (tmp_path / "set.json").write_text(json.dumps([{"messages": turns}]))
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    entry = {
        "file_name": "set.json", "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags,
    }  # fmt: skip
    (tmp_path / "dataset_info.json").write_text(json.dumps({"set": entry}))
    stage = {"kind": "sft", "model": str(build("llama")), "template": "llama3", "data": [f"{tmp_path}/set"]}
    stage |= {"max_steps": 2, "batch_size": 2, "save_steps": 2, "cutoff_len": 128}
    recipe = {"name": "t", "device": "cpu", "stages": {"train": stage}}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    path = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one and one != str(SITE)]
    done = subprocess.run(
        [sys.executable, "-m", "mindgpt_plugins.cli", "validate", str(tmp_path / "recipe.yaml")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "COLUMNS": "200"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ModuleNotFoundError" not in done.stdout + done.stderr
    tokenizer = load_tokenizer(build("llama"))
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    assert text.startswith(tokenizer.bos_token)
    assert f" {len(tokenizer(text, add_special_tokens=False)['input_ids'])} (row 0)" in done.stdout, done.stdout
