"""Folders as they come from the hub without their weights: ``hub_folders.make("qwen3_vl_8b", folder)``.

Real: the sizes in config.json (the public ones, ``tests/workbench/parallel/configs``), the settings of the image
and video processors, the special tokens with their ids, the pre-tokenizer, ``vocab_size``, the layout of the files.
Not real: the vocabulary (a byte-level BPE trained here on a few sentences, filled up with tokens that no text reaches:
a text is more tokens than with the real one) and the chat templates, which were written here. They give the same markup
for plain turns: a default system prompt for Qwen2.5, an empty think block for Qwen3's last reply; no tools.
There are no weights.

By hand: ``python tests/support/hub_folders.py qwen3_vl_8b FOLDER``.
"""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parents[1] / "workbench" / "parallel" / "configs"
FIRST = 151643
"""Id of the first special token of Qwen2 and later."""
SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
PLAIN = (
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>",
    "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>",
)  # fmt: skip
"""Added tokens that are not special: decoding keeps them. The last four came with Qwen3."""
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = [
    "user", "assistant", "system", "\n", "You are a helpful assistant.", "You are Qwen, created by Alibaba Cloud.",
    "what colour is the square? answer: red", "How many circles are left of the blue triangle? answer: 2 circles",
    "Which of the pictures shows the larger object, and where is it? Please think step by step.",
    "The answer is the one in the upper right corner, because it is larger than all the others.",
] * 20  # fmt: skip
QWEN2_5 = {"name": "qwen2_5_7b", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28} | {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu", "initializer_range": 0.02,
    "max_position_embeddings": 32768, "max_window_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072, "use_sliding_window": False,
    "tie_word_embeddings": False, "vocab_size": 152064, "bos_token_id": FIRST, "eos_token_id": FIRST + 2,
}  # fmt: skip
NAMES = (*(path.stem for path in sorted(CONFIGS.glob("*.json"))), "qwen2_5_7b")


def make(name: str, folder: Path, words: int = FIRST) -> Path:
    """Write the folder of a model, one of :data:`NAMES`, and return it.

    With fewer ``words`` before the special tokens it loads faster, but the ids in config.json do not fit the tokenizer.
    """
    config = {k: v for k, v in QWEN2_5.items() if k != "name"} if name == QWEN2_5["name"] else _read(name)
    config |= {"torch_dtype": "bfloat16", "transformers_version": "4.57.0"}
    folder.mkdir(parents=True, exist_ok=True)
    older = "qwen2_5" in name
    files: dict[str, Any] = {
        "config.json": config,
        "generation_config.json": {
            "do_sample": True, "eos_token_id": [FIRST + 2, FIRST], "pad_token_id": FIRST, "temperature": 0.7,
            "top_k": 20, "top_p": 0.8,
        },
        "tokenizer_config.json": _tokenizer_config(name, older, words),
    }  # fmt: skip
    if "vision_config" in config:
        files["chat_template.json"] = {"chat_template": chat_template(name)}
        files |= _processors(older)
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").write_text(_tokenizer(older, words), encoding="utf-8")
    return folder


def chat_template(name: str) -> str:
    """The markup of a model's plain turns, with pictures where it has eyes."""
    system = ""
    if "qwen2_5" in name:
        said = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
        said = "You are a helpful assistant." if "vl" in name else said
        system = (
            "{%- if messages[0].role != 'system' %}{{- '<|im_start|>system\\n" + said + "<|im_end|>\\n' }}{%- endif %}"
        )
    thinks = "qwen3" in name and "vl" not in name
    think = "{%- if message.role == 'assistant' and loop.last %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    off = "{%- if enable_thinking is defined and not enable_thinking %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    return (
        system
        + "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}"
        + (think if thinks else "")
        + "{%- if message.content is string %}{{- message.content }}{%- else %}{%- for part in message.content %}"
        "{%- if part.type == 'image' or 'image' in part or 'image_url' in part %}"
        "{{- '<|vision_start|><|image_pad|><|vision_end|>' }}"
        "{%- elif part.type == 'video' or 'video' in part %}{{- '<|vision_start|><|video_pad|><|vision_end|>' }}"
        "{%- elif 'text' in part %}{{- part.text }}{%- endif %}{%- endfor %}{%- endif %}{{- '<|im_end|>\\n' }}"
        "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
        + (off if thinks else "")
        + "{%- endif %}"
    )


def _read(name: str) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((CONFIGS / f"{name}.json").read_text(encoding="utf-8"))
    return raw


@lru_cache(maxsize=4)
def _tokenizer(older: bool, words: int) -> str:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    learnt = Tokenizer(models.BPE())
    before = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    learnt.pre_tokenizer = before
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learnt.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=800, initial_alphabet=alphabet, show_progress=False)
    )
    model = json.loads(learnt.to_str())["model"]
    vocabulary = model["vocab"] | {f"unreached{i}": i for i in range(len(model["vocab"]), words)}
    whole = Tokenizer(models.BPE(vocabulary, [tuple(pair) for pair in model["merges"]]))
    whole.normalizer, whole.pre_tokenizer, whole.decoder = normalizers.NFC(), before, decoders.ByteLevel()
    whole.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    whole.add_tokens([AddedToken(token, normalized=False) for token in _plain(older)])
    return str(whole.to_str())


def _plain(older: bool) -> tuple[str, ...]:
    return PLAIN[:-4] if older else PLAIN


def _tokenizer_config(name: str, older: bool, words: int) -> dict[str, Any]:
    added = {
        str(words + i): {
            "content": token, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
            "special": token in SPECIAL,
        }
        for i, token in enumerate((*SPECIAL, *_plain(older)))
    }  # fmt: skip
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "additional_special_tokens": list(SPECIAL[1:]),
        "bos_token": None,
        "chat_template": chat_template(name),
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def _processors(older: bool) -> dict[str, Any]:
    common: dict[str, Any] = {"merge_size": 2, "temporal_patch_size": 2}
    if older:
        clip = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
        common |= {"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, **clip}
        kind = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"}
        return {"preprocessor_config.json": common | kind}
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "patch_size": 16, "processor_class": "Qwen3VLProcessor"}
    images = {"size": {"longest_edge": 16777216, "shortest_edge": 65536}}
    videos = {"size": {"longest_edge": 25165824, "shortest_edge": 4096}}
    return {
        "preprocessor_config.json": images | common | half | {"image_processor_type": "Qwen2VLImageProcessorFast"},
        "video_preprocessor_config.json": videos | common | half | {"video_processor_type": "Qwen3VLVideoProcessor"},
    }


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in NAMES:
        sys.exit(f"usage: python {sys.argv[0]} NAME FOLDER, where NAME is one of: {', '.join(NAMES)}")
    print(make(sys.argv[1], Path(sys.argv[2])))
