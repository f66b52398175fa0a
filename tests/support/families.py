"""Tiny model folders of many families: each of its own configuration, model and processor class, made in seconds.

Weights are random; the tokenizer is trained on a few sentences and has the family's special tokens; the chat template
has the family's form (where pictures stand, who writes the begin token, whether content must be a list), not its text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

BUILDERS: dict[str, Callable[[Path], None]] = {}
"""Family → what builds it into a folder."""
FAST = ("qwen2_5_vl", "gemma3", "llama")
"""What the default run of the tests builds: areas, fixed sizes with a begin token, text only."""

TEXTS = [
    "what colour is it? answer: red", "name the colour of the picture", "user assistant system model", "green blue",
    "Describe the picture. You are a helpful assistant.", "how many? answer: 12", "yellow white black", "\n", "\n\n",
]  # fmt: skip
Builder = Callable[[Path], None]


def build_family(name: str, folder: Path) -> Path:
    """Build a family's model into ``folder/name`` and return that."""
    import torch
    from mindgpt_patches.cpu import wheels

    wheels.install_finder()
    torch.manual_seed(0)
    BUILDERS[name](folder / name)
    return folder / name


def _family(build: Builder) -> Builder:
    BUILDERS[build.__name__.strip("_")] = build
    return build


def _tokenizer(special: Sequence[str], eos: str, pad: str, template: str | None, bos: str | None = None, **named: str):
    """A byte-level tokenizer; with ``bos`` it puts that before every text, as Llama's and Gemma's do."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
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


def _parts(image: str, text: str = "part.text") -> str:
    """Template of a message's content: a string, or parts in their order."""
    return (
        "{%- if message.content is string %}{{- message.content }}{%- else %}{%- for part in message.content %}"
        "{%- if part.type == 'image' %}{{- '" + image + "' }}{%- elif part.type == 'text' %}{{- " + text + " }}"
        "{%- endif %}"
        "{%- endfor %}{%- endif %}"
    )


def _chatml(image: str, before: str = "", opened: str = "<|im_start|>assistant\\n") -> str:
    return (
        before + "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}" + _parts(image)
        + "{{- '<|im_end|>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '" + opened + "' }}{%- endif %}"
    )  # fmt: skip


def _save(folder: Path, model: Any, processor: Any, ends: Sequence[int], pad: int) -> None:
    model.generation_config.eos_token_id = list(ends)
    model.generation_config.pad_token_id = pad
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _text(tokenizer: Any, eos: str, pad: str, **more: Any) -> dict[str, Any]:
    """Sizes of a language model of 64 × 2."""
    ids = tokenizer.convert_tokens_to_ids
    rows = -(-len(tokenizer) // 64) * 64
    return {
        "vocab_size": rows, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096, "eos_token_id": ids(eos),
        "pad_token_id": ids(pad), "bos_token_id": tokenizer.bos_token_id, "initializer_range": 0.08, **more,
    }  # fmt: skip


SIGHT = {"hidden_size": 64, "intermediate_size": 96, "initializer_range": 0.08}
SIGLIP = {**SIGHT, "num_hidden_layers": 2, "num_attention_heads": 4}
AREAS = {"shortest_edge": 1024, "longest_edge": 65536}
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


def _qwen_ids(tokenizer: Any) -> dict[str, int]:
    return {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in QWEN_NAMED.items()}


def _qwen_sight(patch: int, **more: Any) -> dict[str, Any]:
    return {
        **SIGHT, "depth": 2, "num_heads": 4, "out_hidden_size": 64, "patch_size": patch, "spatial_merge_size": 2,
        "temporal_patch_size": 2, **more,
    }  # fmt: skip


def _rope(*sections: int, **more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 1e4, "mrope_section": list(sections), **more}


@_family
def _qwen2_5_vl(folder: Path) -> None:
    import transformers as t

    tokenizer = _tokenizer(QWEN, *IM, _chatml(QWEN_PICTURE, before=QWEN2_SYSTEM), **QWEN_NAMED)
    config = t.Qwen2_5_VLConfig(
        text_config=_text(tokenizer, *IM, rope_parameters=_rope(4, 2, 2)),
        vision_config=_qwen_sight(14, window_size=112, fullatt_block_indexes=[1]),
        **_qwen_ids(tokenizer),
    )
    sizes = {"size": AREAS, "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    processor = t.Qwen2_5_VLProcessor(
        image_processor=t.Qwen2VLImageProcessor(**sizes), tokenizer=tokenizer,
        video_processor=t.Qwen2VLVideoProcessor(**sizes), chat_template=tokenizer.chat_template,
    )  # fmt: skip
    ends = tokenizer.convert_tokens_to_ids(IM)
    _save(folder, t.Qwen2_5_VLForConditionalGeneration(config), processor, ends, ends[1])


@_family
def _qwen2_vl(folder: Path) -> None:
    import transformers as t

    tokenizer = _tokenizer(QWEN, *IM, _chatml(QWEN_PICTURE, before=QWEN2_SYSTEM), **QWEN_NAMED)
    config = t.Qwen2VLConfig(
        text_config=_text(tokenizer, *IM, rope_parameters=_rope(4, 2, 2)),
        vision_config={
            "depth": 2, "embed_dim": 64, "hidden_size": 64, "num_heads": 4, "mlp_ratio": 2, "patch_size": 14,
            "spatial_merge_size": 2, "temporal_patch_size": 2,
        },
        **_qwen_ids(tokenizer),
    )  # fmt: skip
    sizes = {"size": AREAS, "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    processor = t.Qwen2VLProcessor(
        image_processor=t.Qwen2VLImageProcessor(**sizes), tokenizer=tokenizer,
        video_processor=t.Qwen2VLVideoProcessor(**sizes), chat_template=tokenizer.chat_template,
    )  # fmt: skip
    ends = tokenizer.convert_tokens_to_ids(IM)
    _save(folder, t.Qwen2VLForConditionalGeneration(config), processor, ends, ends[1])


EXPERTS = {
    "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32,
}  # fmt: skip


@_family
def _qwen3_vl_moe(folder: Path) -> None:
    import transformers as t

    tokenizer = _tokenizer(QWEN, *IM, _chatml(QWEN_PICTURE), **QWEN_NAMED)
    rope = _rope(4, 2, 2, mrope_interleaved=True)
    config = t.Qwen3VLMoeConfig(
        text_config=_text(tokenizer, *IM, head_dim=16, rope_parameters=rope, **EXPERTS),
        vision_config=_qwen_sight(16, num_position_embeddings=64, deepstack_visual_indexes=[0]),
        **_qwen_ids(tokenizer),
    )
    _save_qwen3(folder, t.Qwen3VLMoeForConditionalGeneration(config), tokenizer)


@_family
def _qwen3_vl(folder: Path) -> None:
    import transformers as t

    tokenizer = _tokenizer(QWEN, *IM, _chatml(QWEN_PICTURE), **QWEN_NAMED)
    config = t.Qwen3VLConfig(
        text_config=_text(tokenizer, *IM, head_dim=16, rope_parameters=_rope(4, 2, 2, mrope_interleaved=True)),
        vision_config=_qwen_sight(16, num_position_embeddings=64, deepstack_visual_indexes=[0]),
        **_qwen_ids(tokenizer),
    )
    _save_qwen3(folder, t.Qwen3VLForConditionalGeneration(config), tokenizer)


def _hybrid(folder: Path, version: str, **more: Any) -> None:
    import transformers as t

    # As the real one: a thought is opened by default, closed at once when switched off, and finished replies have one.
    opened = (
        "<|im_start|>assistant\\n' }}{{- '<think>\\n\\n</think>\\n\\n' if enable_thinking is false else '<think>\\n"
    )
    block = "{{- '<think>\\n\\n</think>\\n\\n' if loop.last and message.role == 'assistant' else '' }}"
    said = "message.role + '\\n' }}"
    template = _chatml(QWEN_PICTURE, opened=opened).replace(said, said + block)
    tokenizer = _tokenizer(QWEN, *IM, template, **QWEN_NAMED)
    config = getattr(t, f"{version}Config")(
        text_config=_text(
            tokenizer, *IM, num_hidden_layers=4, head_dim=32, linear_key_head_dim=16, linear_value_head_dim=16,
            linear_num_key_heads=2, linear_num_value_heads=4, linear_conv_kernel_dim=4,
            rope_parameters=_rope(2, 1, 1, mrope_interleaved=True, partial_rotary_factor=0.25), **more,
        ),
        vision_config=_qwen_sight(16, num_position_embeddings=64),
        **_qwen_ids(tokenizer),
    )  # fmt: skip
    _save_qwen3(folder, getattr(t, f"{version}ForConditionalGeneration")(config), tokenizer)


@_family
def _qwen3_5(folder: Path) -> None:
    _hybrid(folder, "Qwen3_5")


@_family
def _qwen3_5_moe(folder: Path) -> None:
    _hybrid(folder, "Qwen3_5Moe", **EXPERTS)


def _save_qwen3(folder: Path, model: Any, tokenizer: Any) -> None:
    import transformers as t

    sizes = {"size": AREAS, "patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
    processor = t.Qwen3VLProcessor(
        image_processor=t.Qwen2VLImageProcessor(**sizes), tokenizer=tokenizer,
        video_processor=t.Qwen3VLVideoProcessor(**sizes), chat_template=tokenizer.chat_template,
    )  # fmt: skip
    ends = tokenizer.convert_tokens_to_ids(IM)
    _save(folder, model, processor, ends, ends[1])


def _glm(folder: Path, version: str) -> None:
    import transformers as t

    special = (
        "<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>",
        "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>", "<|image|>", "<|video|>",
    )  # fmt: skip
    template = (
        "{{- '[gMASK]<sop>' }}{%- for message in messages %}{{- '<|' + message.role + '|>\\n' }}"
        + _parts("<|begin_of_image|><|image|><|end_of_image|>")
        + "{%- endfor %}{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}"
    )
    tokenizer = _tokenizer(
        special, "<|endoftext|>", "<|endoftext|>", template, image_token="<|image|>", video_token="<|video|>"
    )
    ids = tokenizer.convert_tokens_to_ids
    ends = ids(["<|endoftext|>", "<|user|>", "<|observation|>"])
    config = getattr(t, f"{version}Config")(
        text_config={
            **_text(tokenizer, "<|endoftext|>", "<|endoftext|>"),
            "rope_parameters": _rope(4, 2, 2, partial_rotary_factor=1.0),
        },
        vision_config=_qwen_sight(14, image_size=112),
        image_token_id=ids("<|image|>"), video_token_id=ids("<|video|>"),
        image_start_token_id=ids("<|begin_of_image|>"), image_end_token_id=ids("<|end_of_image|>"),
        video_start_token_id=ids("<|begin_of_video|>"), video_end_token_id=ids("<|end_of_video|>"),
    )  # fmt: skip
    sizes = {"size": AREAS, "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    processor = getattr(t, f"{version}Processor")(
        image_processor=getattr(t, f"{version}ImageProcessor")(**sizes), tokenizer=tokenizer,
        video_processor=getattr(t, f"{version}VideoProcessor")(**sizes), chat_template=template,
    )  # fmt: skip
    _save(folder, getattr(t, f"{version}ForConditionalGeneration")(config), processor, ends, ends[0])


@_family
def _glm4v(folder: Path) -> None:
    _glm(folder, "Glm4v")


@_family
def _glm46v(folder: Path) -> None:
    _glm(folder, "Glm46V")


@_family
def _internvl(folder: Path) -> None:
    import transformers as t

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>")
    tokenizer = _tokenizer(
        special, *IM, _chatml("<IMG_CONTEXT>\\n"), start_image_token="<img>", end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>", video_token="<video>",
    )  # fmt: skip
    square = {"height": 56, "width": 56}
    config = t.InternVLConfig(
        text_config={"model_type": "qwen2", **_text(tokenizer, *IM)},
        vision_config={**SIGLIP, "image_size": [56, 56], "patch_size": [14, 14]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), image_seq_length=4, downsample_ratio=0.5,
    )  # fmt: skip
    processor = t.InternVLProcessor(
        image_processor=t.GotOcr2ImageProcessor(size=square, crop_to_patches=True, min_patches=1, max_patches=6),
        tokenizer=tokenizer, video_processor=t.InternVLVideoProcessor(size=square), image_seq_length=4,
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    ends = tokenizer.convert_tokens_to_ids(IM)
    _save(folder, t.InternVLForConditionalGeneration(config), processor, ends[:1], ends[1])


@_family
def _gemma3(folder: Path) -> None:
    import transformers as t

    special = (
        "<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>",
        "<image_soft_token>",
    )  # fmt: skip
    # A system prompt is the beginning of the first user turn.
    template = (
        "{{- bos_token }}{%- set first = '' %}{%- if messages[0].role == 'system' %}"
        "{%- set said = messages[0].content %}{%- set first = (said if said is string else said[0].text) + '\\n\\n' %}"
        "{%- set messages = messages[1:] %}{%- endif %}{%- for message in messages %}"
        "{{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}"
        "{{- first if loop.first else '' }}"
        + _parts("<start_of_image>", "part.text | trim")
        + "{{- '<end_of_turn>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}"
        "{%- endif %}"
    )
    tokenizer = _tokenizer(
        special, "<eos>", "<pad>", template, "<bos>", image_token="<image_soft_token>", boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
    )  # fmt: skip
    ids = tokenizer.convert_tokens_to_ids
    config = t.Gemma3Config(
        text_config=_text(
            tokenizer, "<eos>", "<pad>", head_dim=16, sliding_window=64, query_pre_attn_scalar=16,
            layer_types=["sliding_attention", "full_attention"],
        ),
        vision_config={**SIGLIP, "image_size": 56, "patch_size": 14, "vision_use_head": False},
        mm_tokens_per_image=4, boi_token_index=ids("<start_of_image>"), eoi_token_index=ids("<end_of_image>"),
        image_token_index=ids("<image_soft_token>"),
    )  # fmt: skip
    processor = t.Gemma3Processor(
        image_processor=t.Gemma3ImageProcessor(size={"height": 56, "width": 56}, image_seq_length=4),
        tokenizer=tokenizer, image_seq_length=4, chat_template=template,
    )  # fmt: skip
    model = t.Gemma3ForConditionalGeneration(config)
    model.model.multi_modal_projector.mm_input_projection_weight.data.normal_(0, 0.08)
    _save(folder, model, processor, ids(["<eos>", "<end_of_turn>"]), ids("<pad>"))


@_family
def _gemma4(folder: Path) -> None:
    import transformers as t

    special = (
        "<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", "<|image>", "<image|>", "<|image|>", "<|video|>",
        "<|audio>", "<audio|>", "<|audio|>", "<|tool_response>",
    )  # fmt: skip
    template = (
        "{{- bos_token }}{%- for message in messages %}"
        "{{- '<|turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}"
        + _parts("<|image|>", "part.text | trim")
        + "{{- '<turn|>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|turn>model\\n' }}{%- endif %}"
    )
    tokenizer = _tokenizer(
        special, "<eos>", "<pad>", template, "<bos>", image_token="<|image|>", boi_token="<|image>",
        eoi_token="<image|>", audio_token="<|audio|>", boa_token="<|audio>", eoa_token="<audio|>",
    )  # fmt: skip
    ids = tokenizer.convert_tokens_to_ids
    text = _text(
        tokenizer, "<eos>", "<pad>", num_hidden_layers=4, head_dim=16, global_head_dim=32, sliding_window=64,
        layer_types=["sliding_attention", "full_attention"] * 2, hidden_size_per_layer_input=16,
        num_kv_shared_layers=2, use_bidirectional_attention="vision",
    )  # fmt: skip
    config = t.Gemma4Config(
        text_config={**text, "vocab_size_per_layer_input": text["vocab_size"]},
        vision_config={
            **SIGLIP, "num_key_value_heads": 4, "head_dim": 16, "patch_size": 16, "pooling_kernel_size": 3,
            "position_embedding_size": 256,
        },
        audio_config=None, boi_token_id=ids("<|image>"), eoi_token_id=ids("<image|>"), image_token_id=ids("<|image|>"),
        video_token_id=ids("<|video|>"), boa_token_id=ids("<|audio>"), eoa_token_index=ids("<audio|>"),
        audio_token_id=ids("<|audio|>"), initializer_range=0.08,
    )  # fmt: skip
    processor = t.Gemma4Processor(
        feature_extractor=t.Gemma4AudioFeatureExtractor(), image_processor=t.Gemma4ImageProcessor(max_soft_tokens=70),
        tokenizer=tokenizer, video_processor=t.Gemma4VideoProcessor(), image_seq_length=70, chat_template=template,
    )  # fmt: skip
    _save(folder, t.Gemma4ForConditionalGeneration(config), processor, ids(["<eos>", "<turn|>"]), ids("<pad>"))


@_family
def _llava_onevision(folder: Path) -> None:
    import transformers as t

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>")
    # Pictures first, wherever they stand, and no text that is not a part.
    template = (
        "{%- for message in messages %}{{- '<|im_start|>' + message.role + ' ' }}"
        "{%- for part in message.content | selectattr('type', 'equalto', 'image') %}{{- '<image>' }}{%- endfor %}"
        "{%- for part in message.content | selectattr('type', 'equalto', 'text') %}{{- '\\n' + part.text }}"
        "{%- endfor %}"
        "{{- '<|im_end|>' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
    )
    tokenizer = _tokenizer(special, *IM, template)
    ids = tokenizer.convert_tokens_to_ids
    tiles = [[28, 28], [28, 56], [56, 28], [56, 56]]
    square = {"height": 28, "width": 28}
    config = t.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **_text(tokenizer, *IM)},
        vision_config={
            "model_type": "siglip_vision_model", **SIGLIP, "image_size": 28, "patch_size": 14, "vision_use_head": False,
        },
        image_token_index=ids("<image>"), video_token_index=ids("<video>"), image_grid_pinpoints=tiles,
        vision_feature_select_strategy="full", vision_feature_layer=-1,
    )  # fmt: skip
    processor = t.LlavaOnevisionProcessor(
        image_processor=t.LlavaOnevisionImageProcessor(size=square, image_grid_pinpoints=tiles, do_pad=True),
        tokenizer=tokenizer, video_processor=t.LlavaOnevisionVideoProcessor(size=square), num_image_tokens=4,
        vision_feature_select_strategy="full", chat_template=template,
    )  # fmt: skip
    _save(folder, t.LlavaOnevisionForConditionalGeneration(config), processor, ids(["<|im_end|>"]), ids(IM[1]))


@_family
def _llava_next(folder: Path) -> None:
    import transformers as t

    special = ("<unk>", "<s>", "</s>", "<pad>", "<image>")
    template = (
        "{{- bos_token }}{%- for message in messages %}{%- if message.role == 'user' %}{{- '[INST] ' }}"
        + _parts("<image>\\n") + "{{- ' [/INST]' }}{%- else %}" + _parts("")
        + "{{- eos_token }}{%- endif %}{%- endfor %}"
    )  # fmt: skip
    ends = ("</s>", "<pad>")
    tokenizer = _tokenizer(special, *ends, template, "<s>", image_token="<image>")
    ids = tokenizer.convert_tokens_to_ids
    tiles = [[28, 56], [56, 28], [56, 56]]
    config = t.LlavaNextConfig(
        text_config={"model_type": "mistral", **_text(tokenizer, *ends, head_dim=16, sliding_window=None)},
        vision_config={"model_type": "clip_vision_model", **SIGLIP, "image_size": 28, "patch_size": 14},
        image_token_index=ids("<image>"), image_grid_pinpoints=tiles, vision_feature_layer=-2,
    )  # fmt: skip
    processor = t.LlavaNextProcessor(
        image_processor=t.LlavaNextImageProcessor(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=tiles
        ),
        tokenizer=tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=template,
    )  # fmt: skip
    _save(folder, t.LlavaNextForConditionalGeneration(config), processor, ids([ends[0]]), ids(ends[1]))


@_family
def _idefics3(folder: Path) -> None:
    import transformers as t

    rows = tuple(f"<row_{i}_col_{j}>" for i in range(1, 5) for j in range(1, 5))
    special = (
        "<|endoftext|>", "<|begin_of_text|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>",
        "<global-img>", *rows,
    )  # fmt: skip
    template = (
        "{{- '<|begin_of_text|>' }}{%- for message in messages %}{{- message.role | capitalize + ':' }}"
        + _parts("<image>")
        + "{{- '<end_of_utterance>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- 'Assistant:' }}{%- endif %}"
    )
    ends = ("<end_of_utterance>", "<|endoftext|>")
    tokenizer = _tokenizer(
        special, *ends, template, "<|begin_of_text|>", fake_image_token="<fake_token_around_image>",
        image_token="<image>", global_image_token="<global-img>", end_of_utterance_token="<end_of_utterance>",
    )  # fmt: skip
    ids = tokenizer.convert_tokens_to_ids
    config = t.Idefics3Config(
        text_config={"model_type": "llama", **_text(tokenizer, *ends)},
        vision_config={**SIGLIP, "image_size": 32, "patch_size": 8},
        image_token_id=ids("<image>"), scale_factor=2, pad_token_id=ids(ends[1]),
    )  # fmt: skip
    processor = t.Idefics3Processor(
        image_processor=t.Idefics3ImageProcessor(
            size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=True
        ),
        tokenizer=tokenizer, image_seq_len=4, chat_template=template,
    )  # fmt: skip
    _save(folder, t.Idefics3ForConditionalGeneration(config), processor, ids([ends[0]]), ids(ends[1]))


@_family
def _lfm2_vl(folder: Path) -> None:
    import transformers as t

    rows = tuple(f"<|img_row_{i}_col_{j}|>" for i in range(1, 5) for j in range(1, 5))
    special = (
        "<|pad|>", "<|startoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<|image_start|>", "<|image_end|>",
        "<|img_thumbnail|>", *rows,
    )  # fmt: skip
    ends = ("<|im_end|>", "<|pad|>")
    tokenizer = _tokenizer(
        special, *ends, _chatml("<image>", before="{{- bos_token }}"), "<|startoftext|>", image_token="<image>",
        image_start_token="<|image_start|>", image_end_token="<|image_end|>", image_thumbnail="<|img_thumbnail|>",
    )  # fmt: skip
    ids = tokenizer.convert_tokens_to_ids
    config = t.Lfm2VlConfig(
        text_config={"model_type": "lfm2", **_text(tokenizer, *ends, block_multiple_of=16, full_attn_idxs=[1])},
        vision_config={
            "model_type": "siglip2_vision_model", **SIGLIP, "patch_size": 16, "num_patches": 64,
            "vision_use_head": False,
        },
        image_token_id=ids("<image>"), projector_hidden_size=64, downsample_factor=2,
    )  # fmt: skip
    kind = getattr(t, "Lfm2VlImageProcessor", None) or t.Lfm2VlImageProcessorFast
    processor = t.Lfm2VlProcessor(
        image_processor=kind(
            tile_size=128, min_image_tokens=4, max_image_tokens=16, encoder_patch_size=16, downsample_factor=2,
            max_num_patches=64, min_tiles=2, max_tiles=4,
        ),
        tokenizer=tokenizer, chat_template=tokenizer.chat_template,
    )  # fmt: skip
    _save(folder, t.Lfm2VlForConditionalGeneration(config), processor, ids([ends[0]]), ids(ends[1]))


@_family
def _mistral3(folder: Path) -> None:
    import transformers as t

    special = (
        "<unk>",
        "<s>",
        "</s>",
        "<pad>",
        "[INST]",
        "[/INST]",
        "[IMG]",
        "[IMG_BREAK]",
        "[IMG_END]",
        "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
    )
    template = (
        "{{- bos_token }}{%- for message in messages %}{%- if message.role == 'system' %}{{- '[SYSTEM_PROMPT]' }}"
        + _parts("") + "{{- '[/SYSTEM_PROMPT]' }}{%- elif message.role == 'user' %}{{- '[INST]' }}"
        + _parts("[IMG]") + "{{- '[/INST]' }}{%- else %}" + _parts("") + "{{- eos_token }}{%- endif %}{%- endfor %}"
    )  # fmt: skip
    ends = ("</s>", "<pad>")
    tokenizer = _tokenizer(special, *ends, template, "<s>")
    ids = tokenizer.convert_tokens_to_ids
    config = t.Mistral3Config(
        text_config={"model_type": "mistral", **_text(tokenizer, *ends, head_dim=16, sliding_window=None)},
        vision_config={"model_type": "pixtral", **SIGLIP, "head_dim": 16, "image_size": 112, "patch_size": 14},
        image_token_index=ids("[IMG]"), spatial_merge_size=2, vision_feature_layer=-1,
    )  # fmt: skip
    processor = t.PixtralProcessor(
        image_processor=t.PixtralImageProcessor(size={"longest_edge": 112}, patch_size=28), tokenizer=tokenizer,
        patch_size=14, spatial_merge_size=2, chat_template=template,
    )  # fmt: skip
    _save(folder, t.Mistral3ForConditionalGeneration(config), processor, ids([ends[0]]), ids(ends[1]))


@_family
def _paligemma(folder: Path) -> None:
    import transformers as t

    ends = ("<eos>", "<pad>")
    # The real one has no chat template either.
    tokenizer = _tokenizer(("<pad>", "<eos>", "<bos>", "<unk>", "<image>"), *ends, None, "<bos>", image_token="<image>")
    pictures = t.SiglipImageProcessor(size={"height": 28, "width": 28})
    pictures.image_seq_length = 4
    processor = t.PaliGemmaProcessor(image_processor=pictures, tokenizer=tokenizer)
    ids = processor.tokenizer.convert_tokens_to_ids
    config = t.PaliGemmaConfig(
        text_config={"model_type": "gemma", **_text(processor.tokenizer, *ends, head_dim=16)},
        vision_config={
            "model_type": "siglip_vision_model", **SIGLIP, "image_size": 28, "patch_size": 14, "vision_use_head": False,
            "projection_dim": 64,
        },
        image_token_index=ids("<image>"), projection_dim=64, hidden_size=64,
    )  # fmt: skip
    _save(folder, t.PaliGemmaForConditionalGeneration(config), processor, ids([ends[0]]), ids(ends[1]))


@_family
def _llama(folder: Path) -> None:
    import transformers as t

    special = (
        "<|begin_of_text|>", "<|end_of_text|>", "<|pad|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    )  # fmt: skip
    # Its template cannot join parts.
    template = (
        "{{- bos_token }}{%- for message in messages %}"
        "{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim }}"
        "{{- '<|eot_id|>' }}{%- endfor %}{%- if add_generation_prompt %}"
        "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"
    )
    ends = ("<|eot_id|>", "<|pad|>")
    tokenizer = _tokenizer(special, *ends, template, "<|begin_of_text|>")
    ids = tokenizer.convert_tokens_to_ids
    model = t.LlamaForCausalLM(t.LlamaConfig(**_text(tokenizer, *ends)))
    _save(folder, model, tokenizer, ids(["<|end_of_text|>", "<|eot_id|>"]), ids("<|pad|>"))


@_family
def _qwen3(folder: Path) -> None:
    import transformers as t

    tokenizer = _tokenizer(QWEN, *IM, _chatml(""))
    model = t.Qwen3ForCausalLM(t.Qwen3Config(**_text(tokenizer, *IM, head_dim=16)))
    ends = tokenizer.convert_tokens_to_ids(IM)
    _save(folder, model, tokenizer, ends, ends[1])
