"""A tiny Qwen3-VL (0.3 M parameters) with a locally trained tokenizer and a small two-source dataset."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange")
TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
SPECIAL = [
    "<|endoftext|>",
    *(f"<|{name}|>" for name in ("im_start", "im_end", "object_ref_start", "object_ref_end", "box_start", "box_end")),
    *(f"<|{name}|>" for name in ("quad_start", "quad_end", "vision_start", "vision_end", "vision_pad")),
    *("<|image_pad|>", "<|video_pad|>", "<think>", "</think>"),
]
CHAT = (
    "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\\n' }}{%- if m.content is string %}{{- m.content }}"
    "{%- else %}{%- for part in m.content %}{{- '<|vision_start|><|image_pad|><|vision_end|>' if part.type == 'image' "
    "else part.text }}{%- endfor %}{%- endif %}{{- '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def write_data(folder: Path, size: int = 24, extra: bool = True) -> None:
    """``domain``, ``general`` (sharegpt), ``plain`` (alpaca) and ``pairs`` (ranking), images beside them."""
    from PIL import Image, ImageDraw

    rng = random.Random(0)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[dict[str, Any]]] = {"domain": [], "general": [], "plain": [], "pairs": []}
    for i in range(size):
        for name in rows:
            colour, hard = rng.choice(COLOURS), round(rng.random(), 3)
            image = Image.new("RGB", (64, 64), "white")
            ImageDraw.Draw(image).ellipse([12, 12, 52, 52], fill=colour)
            image.save(folder / "images" / f"{name}{i}.png")
            reply = " ".join([f"It is {colour}."] * (1 + int(hard * 5)))
            files = [] if name == "general" and i % 4 == 0 else [f"images/{name}{i}.png"]
            ask = "<image>" * len(files) + ("Identify the part." if name == "domain" else "What colour is it?")
            facts = {"uid": f"{name}-{i}", "source": name, "difficulty": hard} if extra else {}
            if name == "plain":
                row = {"instruction": ask, "input": "", "output": reply, "images": files}
            elif name == "pairs":
                other = rng.choice([c for c in COLOURS if c != colour])
                row = {
                    "conversations": [{"role": "user", "content": ask}],
                    "chosen": {"role": "assistant", "content": f"It is {colour}."},
                    "rejected": {"role": "assistant", "content": f"It is {other}. It is {other}."},
                    "images": files,
                }
            else:
                row = {
                    "messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": reply}],
                    "images": files,
                }
            rows[name].append({**row, **facts})
    share = {"formatting": "sharegpt", "columns": {"messages": "messages", "images": "images"}, "tags": TAGS}
    pairs = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", "images": "images"}
    alpaca = {"prompt": "instruction", "query": "input", "response": "output", "images": "images"}
    info = {
        "domain": {"file_name": "domain.json", **share},
        "general": {"file_name": "general.json", **share},
        "plain": {"file_name": "plain.json", "formatting": "alpaca", "columns": alpaca},
        "pairs": {"file_name": "pairs.json", **share, "ranking": True, "columns": pairs},
    }
    for name, items in rows.items():
        (folder / f"{name}.json").write_text(json.dumps(items))
    (folder / "dataset_info.json").write_text(json.dumps(info))


def write_model(folder: Path, data: Path) -> None:
    """Save model, tokenizer and processor."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
    )
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    texts = [(data / "domain.json").read_text(), (data / "general.json").read_text(), "user assistant system\n"]
    bpe.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT,
        extra_special_tokens={
            "image_token": "<|image_pad|>",
            "video_token": "<|video_pad|>",
            "vision_bos_token": "<|vision_start|>",
            "vision_eos_token": "<|vision_end|>",
        },
    )
    shape = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
    size = {"shortest_edge": 32 * 32, "longest_edge": 64 * 64}
    mean = [0.5, 0.5, 0.5]
    Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**shape, size=size, image_mean=mean, image_std=mean),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**shape),
        chat_template=CHAT,
    ).save_pretrained(folder)
    ids = tokenizer.convert_tokens_to_ids
    rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [4, 2, 2], "mrope_interleaved": True}
    config = Qwen3VLConfig(
        text_config=dict(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=16,
            max_position_embeddings=1024,
            rope_parameters=rope,
            pad_token_id=ids("<|endoftext|>"),
            initializer_range=0.08,
        ),
        vision_config=dict(
            depth=2,
            hidden_size=32,
            intermediate_size=64,
            num_heads=2,
            out_hidden_size=64,
            num_position_embeddings=64,
            deepstack_visual_indexes=[0, 1],
            patch_size=16,
        ),
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config).float()
    model.generation_config.eos_token_id = ids("<|im_end|>")
    model.generation_config.pad_token_id = ids("<|endoftext|>")
    model.save_pretrained(folder)


def host_config(world: Path, output: Path, **changes: Any) -> dict[str, Any]:
    """An ordinary LLaMA-Factory config for the tiny world; ``changes`` replace or (``None``) remove keys."""
    config: dict[str, Any] = {
        "model_name_or_path": str(world / "model"),
        "dataset_dir": str(world / "data"),
        "media_dir": str(world / "data"),
        "dataset": "domain,general",
        "template": "qwen3_vl_nothink",
        "cutoff_len": 256,
        "image_min_pixels": 1024,
        "image_max_pixels": 4096,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "freeze_vision_tower": False,
        "freeze_multi_modal_projector": False,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 1,
        "learning_rate": 0.01,
        "lr_scheduler_type": "constant",
        "max_steps": 6,
        "logging_steps": 1,
        "save_steps": 100,
        "output_dir": str(output),
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "overwrite_cache": True,
        "seed": 1,
    }
    config.update(changes)
    return {key: value for key, value in config.items() if value is not None}


def environment(**extra: str) -> dict[str, str]:
    """What the runner would set for a CPU stage."""
    from mindgpt_patches.cpu import SITE

    return {
        **os.environ,
        # The stock launcher calls torchrun by name: an environment that is not activated has it beside its python.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(SITE),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
        **extra,
    }


def command(config: dict[str, Any], module: str = "mindgpt_plugins.llamafactory_ext") -> list[str]:
    """Write a config beside its output folder and return the command that trains it."""
    path = Path(config["output_dir"]).with_suffix(".yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config))
    return [sys.executable, "-m", module, "train", str(path)]


def train(config: dict[str, Any], module: str = "mindgpt_plugins.llamafactory_ext", **env: str) -> Path:
    """Train to the end and return the output folder; a failure shows the log's end."""
    done = subprocess.run(
        command(config, module),
        env=environment(HF_DATASETS_CACHE=config["output_dir"] + "-cache", **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return Path(config["output_dir"])


def weights(folder: Path) -> dict[str, Any]:
    """All tensors a training run saved."""
    from safetensors.torch import load_file

    return {k: v for path in sorted(folder.glob("*.safetensors")) for k, v in load_file(path).items()}


def distance(a: Path, b: Path) -> float:
    """Largest absolute difference between two saved models."""
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys() and first
    return max(float((first[k] - second[k]).abs().max()) for k in first)


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Lines of a run's ``metrics.jsonl``."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
