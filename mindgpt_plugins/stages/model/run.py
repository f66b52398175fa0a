"""A tiny model from a config: fresh weights, a locally trained tokenizer, the real processor. No hub.

``python -m mindgpt_plugins.stages.model.run config.json`` is the ``model`` stage as a process. All is written with
``save_pretrained``, so ``AutoModelForImageTextToText``, ``AutoProcessor`` and ``AutoTokenizer`` load the folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mindgpt_data.export import read_set

from mindgpt_plugins.core.files import replace_folder
from mindgpt_plugins.core.metrics import append_metrics, truncate_metrics
from mindgpt_plugins.core.schema import read_model
from mindgpt_plugins.generation.config import SetLocation
from mindgpt_plugins.stages.model import tokenizer as bpe
from mindgpt_plugins.stages.model.config import ModelConfig
from mindgpt_plugins.stages.model.job import ModelJob

PATCH, MERGE = 16, 2
"""Qwen3-VL's: one visual token is PATCH·MERGE = 32 pixels wide."""


def build_model(
    config: ModelConfig, texts: list[str], folder: Path, seed: int, min_pixels: int, max_pixels: int
) -> dict[str, int]:
    """Make the model and write it to ``folder``, replacing what is there.

    Args:
        config: sizes.
        texts: what the tokenizer is trained on.
        folder: Hugging Face model folder to write.
        seed: of the fresh weights.
        min_pixels: images below this many pixels are enlarged by the processor.
        max_pixels: images above this many pixels are reduced.

    Returns:
        ``parameters`` and ``vocabulary``.
    """
    import torch

    if config.family != "qwen3_vl":
        return _build_family(config, texts, folder, seed, min_pixels, max_pixels)
    from transformers import Qwen3VLForConditionalGeneration

    tokenizer = bpe.train_tokenizer(texts, config.vocab_size)
    torch.manual_seed(seed)
    host = _host_config(config, tokenizer, max_pixels)
    model = Qwen3VLForConditionalGeneration(host).to(torch.float32)
    with torch.no_grad():
        # Patch embeddings sum 1,536 inputs and are about two orders stronger than a position drawn at the same std.
        model.model.visual.pos_embed.weight.normal_(0.0, config.position_std)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(bpe.END)
    model.generation_config.pad_token_id = tokenizer.convert_tokens_to_ids(bpe.PAD)
    with replace_folder(folder, alone=True) as aside:
        model.save_pretrained(aside)
        _processor(tokenizer, min_pixels, max_pixels).save_pretrained(aside)
    return {"parameters": sum(p.numel() for p in model.parameters()), "vocabulary": len(tokenizer)}


def _build_family(
    config: ModelConfig, texts: list[str], folder: Path, seed: int, min_pixels: int, max_pixels: int
) -> dict[str, int]:
    import torch
    from mindgpt_patches.cpu import wheels

    wheels.install_finder()  # configurations of the Llama line import torchvision
    from mindgpt_plugins.families import load_generator, load_processor
    from mindgpt_plugins.stages.model.families import BUILDERS, Kit

    torch.manual_seed(seed)
    with replace_folder(folder, alone=True) as aside:
        BUILDERS[config.family](Kit(config, texts, aside, min_pixels, max_pixels))
    processor = load_processor(str(folder))
    model = load_generator(str(folder))
    tokenizer = getattr(processor, "tokenizer", processor)
    return {"parameters": sum(p.numel() for p in model.parameters()), "vocabulary": len(tokenizer)}


def _processor(tokenizer: Any, min_pixels: int, max_pixels: int) -> Any:
    from transformers import Qwen2VLImageProcessorFast, Qwen3VLProcessor, Qwen3VLVideoProcessor

    size = {"shortest_edge": min_pixels, "longest_edge": max_pixels}
    common: dict[str, Any] = {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": 2}
    images = Qwen2VLImageProcessorFast(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3, **common)
    videos = Qwen3VLVideoProcessor(size={k: v * 8 for k, v in size.items()}, **common)
    return Qwen3VLProcessor(
        image_processor=images, tokenizer=tokenizer, video_processor=videos, chat_template=bpe.CHAT_TEMPLATE
    )


def derive_model_sizes(config: ModelConfig, max_pixels: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ``text_config`` and ``vision_config`` say about sizes; the vocabulary is the largest it may become."""
    side = max(4, -(-int(max_pixels**0.5) // PATCH))
    text = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": 2 * config.hidden_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.hidden_size // config.heads,
        "max_position_embeddings": config.max_length,
        "tie_word_embeddings": True,
    }
    vision = {
        "depth": config.vision_layers,
        "hidden_size": config.vision_hidden_size,
        "intermediate_size": 2 * config.vision_hidden_size,
        "num_heads": config.vision_heads,
        "out_hidden_size": config.hidden_size,
        "num_position_embeddings": side * side,
        "deepstack_visual_indexes": list(range(min(2, config.vision_layers))),
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": 2,
    }
    return text, vision


def _host_config(config: ModelConfig, tokenizer: Any, max_pixels: int) -> Any:
    from transformers import Qwen3VLConfig

    token = tokenizer.convert_tokens_to_ids
    text, vision = derive_model_sizes(config, max_pixels)
    section = text["head_dim"] // 8
    host = Qwen3VLConfig(
        text_config={
            **text,
            "vocab_size": -(-len(tokenizer) // 64) * 64,
            "initializer_range": config.initializer_std,
            "eos_token_id": token(bpe.END),
            "pad_token_id": token(bpe.PAD),
            "bos_token_id": None,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                # Half the head dimension, shared by time, height and width.
                "mrope_section": [2 * section, section, section],
                "mrope_interleaved": True,
            },
        },
        vision_config={**vision, "initializer_range": config.initializer_std},
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    host.initializer_range = config.initializer_std
    return host


def list_training_texts(sets: Iterable[SetLocation]) -> list[str]:
    """Every question and reply of the named sets, in order, wrapped as the model will see them."""
    texts = ["user", "assistant", "system"]
    for one in sets:
        for row in read_set(one.folder, one.name):
            texts += [row.question, row.response]
    return texts


def main(argv: list[str]) -> int:
    """Run the stage; returns the exit status."""
    if len(argv) != 1:
        print("usage: python -m mindgpt_plugins.stages.model.run config.json", file=sys.stderr)
        return 2
    job = read_model(Path(argv[0]), ModelJob)
    made = build_model(job.model, list_training_texts(job.sets), job.folder, job.seed, job.min_pixels, job.max_pixels)
    metrics = Path(argv[0]).parent / "metrics.jsonl"
    truncate_metrics(metrics, 0)  # of an attempt that was killed after it
    append_metrics(metrics, 1, 1, made)
    print(f"{job.folder}: {made['parameters']:,} parameters, vocabulary {made['vocabulary']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
