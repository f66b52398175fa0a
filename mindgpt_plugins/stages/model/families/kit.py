"""What the builders of all families share: a tokenizer of local texts, chat markup, sizes, how a folder is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mindgpt_plugins.stages.model.config import ModelConfig

QWEN = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>", "<think>", "</think>",
)  # fmt: skip
QWEN_NAMED = {
    "image_token": "<|image_pad|>", "video_token": "<|video_pad|>", "vision_start_token": "<|vision_start|>",
    "vision_end_token": "<|vision_end|>",
}  # fmt: skip
QWEN_PICTURE = "<|vision_start|><|image_pad|><|vision_end|>"
_QWEN2_DEFAULT = "<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n"
QWEN2_SYSTEM = "{%- if messages[0].role != 'system' %}{{- '" + _QWEN2_DEFAULT + "' }}{%- endif %}"
"""Which Qwen2-VL's and Qwen2.5-VL's templates write where there is none."""
IM = ("<|im_end|>", "<|endoftext|>")
"""End of a turn and padding of everything with Qwen's markup."""


@dataclass(frozen=True)
class Kit:
    """A model to be made.

    Attributes:
        config: sizes, as in the recipe.
        texts: what the tokenizer is trained on.
        folder: to write to.
        min_pixels: of a picture, for processors that take areas.
        max_pixels: of a picture, for the same.
    """

    config: ModelConfig
    texts: Sequence[str]
    folder: Path
    min_pixels: int
    max_pixels: int

    @cached_property
    def head_dim(self) -> int:
        """Of the language model."""
        return self.config.hidden_size // self.config.heads

    @property
    def vision_head_dim(self) -> int:
        """Of the vision tower."""
        return self.config.vision_hidden_size // self.config.vision_heads

    @property
    def areas(self) -> dict[str, int]:
        """``size`` of a processor that takes its limits as areas."""
        return {"shortest_edge": self.min_pixels, "longest_edge": self.max_pixels}

    @property
    def siglip(self) -> dict[str, Any]:
        """Sizes of a tower after SigLIP or CLIP."""
        return {
            "hidden_size": self.config.vision_hidden_size, "intermediate_size": 2 * self.config.vision_hidden_size,
            "num_hidden_layers": self.config.vision_layers, "num_attention_heads": self.config.vision_heads,
            "initializer_range": self.config.initializer_std,
        }  # fmt: skip

    def size_qwen_sight(self, patch: int, **more: Any) -> dict[str, Any]:
        """Sizes of a tower after Qwen-VL, for patches of so many pixels."""
        return {
            "hidden_size": self.config.vision_hidden_size, "intermediate_size": 2 * self.config.vision_hidden_size,
            "depth": self.config.vision_layers, "num_heads": self.config.vision_heads,
            "out_hidden_size": self.config.hidden_size, "patch_size": patch, "spatial_merge_size": 2,
            "temporal_patch_size": 2, "initializer_range": self.config.initializer_std, **more,
        }  # fmt: skip

    def size_text(self, tokenizer: Any, eos: str, pad: str, **more: Any) -> dict[str, Any]:
        """Sizes and special tokens of a language model."""
        ids = tokenizer.convert_tokens_to_ids
        return {
            "vocab_size": -(-len(tokenizer) // 64) * 64, "hidden_size": self.config.hidden_size,
            "intermediate_size": 2 * self.config.hidden_size, "num_hidden_layers": self.config.layers,
            "num_attention_heads": self.config.heads, "num_key_value_heads": self.config.kv_heads,
            "max_position_embeddings": max(4096, self.config.max_length), "eos_token_id": ids(eos),
            "pad_token_id": ids(pad), "bos_token_id": tokenizer.bos_token_id,
            "initializer_range": self.config.initializer_std, **more,
        }  # fmt: skip

    def size_rope(self, *sections: int, **more: Any) -> dict[str, Any]:
        """Rotary positions in three dimensions; ``sections`` of a head of 16."""
        scaled = [self.head_dim // 16 * section for section in sections]
        return {"rope_type": "default", "rope_theta": 1e4, "mrope_section": scaled, **more}

    def alternate_layers(self, first: str, second: str, least: int = 2) -> list[str]:
        """Kinds of layers in turn, an even number of them."""
        return [first, second] * (max(least, self.config.layers + self.config.layers % 2) // 2)

    def train_tokenizer(
        self, special: Sequence[str], eos: str, pad: str, template: str | None, bos: str | None = None, **named: str
    ) -> Any:
        """A byte-level tokenizer; with ``bos`` it puts that before every text, as Llama's and Gemma's do."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
        from transformers import PreTrainedTokenizerFast

        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        # Families of many special tokens would leave none for words.
        size = max(self.config.vocab_size - len(special), 300)
        made.train_from_iterator(
            self.texts, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        )
        made.add_special_tokens(list(special))
        options: dict[str, Any] = {}
        if bos is not None:
            made.post_processor = processors.TemplateProcessing(
                single=f"{bos}:0 $A:0", special_tokens=[(bos, made.token_to_id(bos))]
            )
            options["bos_token"] = bos
        others = [token for token in special if token not in (eos, pad, bos)]
        return PreTrainedTokenizerFast(
            tokenizer_object=made, eos_token=eos, pad_token=pad, chat_template=template, model_max_length=4096,
            additional_special_tokens=others, extra_special_tokens=named, **options,
        )  # fmt: skip

    def save(self, model: Any, processor: Any, ends: Sequence[int], pad: int) -> None:
        """Write the folder; ``ends`` are the tokens that end a reply."""
        model.generation_config.eos_token_id = list(ends)
        model.generation_config.pad_token_id = pad
        model.save_pretrained(self.folder)
        processor.save_pretrained(self.folder)


def write_parts(image: str, text: str = "part.text") -> str:
    """Template of a message's content: a string, or parts in their order."""
    return (
        "{%- if message.content is string %}{{- message.content }}{%- else %}{%- for part in message.content %}"
        "{%- if part.type == 'image' %}{{- '" + image + "' }}{%- elif part.type == 'text' %}{{- " + text + " }}"
        "{%- endif %}"
        "{%- endfor %}{%- endif %}"
    )


def write_chatml(image: str, before: str = "", opened: str = "<|im_start|>assistant\\n") -> str:
    """Template of Qwen's markup."""
    return (
        before + "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}" + write_parts(image)
        + "{{- '<|im_end|>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '" + opened + "' }}{%- endif %}"
    )  # fmt: skip


def find_media_ids(tokenizer: Any) -> dict[str, int]:
    """Qwen's tokens for media as its configurations name them."""
    return {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in QWEN_NAMED.items()}
