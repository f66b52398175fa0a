"""LLaVA-OneVision and LLaVA-NeXT: tiles after the best of listed shapes."""

from __future__ import annotations

from mindgpt_plugins.stages.model.families.kit import IM, Kit, write_parts


def build_llava_onevision(kit: Kit) -> None:
    """Write a LLaVA-OneVision."""
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
    tokenizer = kit.train_tokenizer(special, *IM, template)
    ids = tokenizer.convert_tokens_to_ids
    tiles = [[28, 28], [28, 56], [56, 28], [56, 56]]
    square = {"height": 28, "width": 28}
    config = t.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **kit.size_text(tokenizer, *IM)},
        vision_config={
            "model_type": "siglip_vision_model", **kit.siglip, "image_size": 28, "patch_size": 14,
            "vision_use_head": False,
        },
        image_token_index=ids("<image>"), video_token_index=ids("<video>"), image_grid_pinpoints=tiles,
        vision_feature_select_strategy="full", vision_feature_layer=-1,
    )  # fmt: skip
    processor = t.LlavaOnevisionProcessor(
        image_processor=t.LlavaOnevisionImageProcessor(size=square, image_grid_pinpoints=tiles, do_pad=True),
        tokenizer=tokenizer, video_processor=t.LlavaOnevisionVideoProcessor(size=square), num_image_tokens=4,
        vision_feature_select_strategy="full", chat_template=template,
    )  # fmt: skip
    kit.save(t.LlavaOnevisionForConditionalGeneration(config), processor, ids(["<|im_end|>"]), ids(IM[1]))


def build_llava_next(kit: Kit) -> None:
    """Write a LLaVA-NeXT."""
    import transformers as t

    special = ("<unk>", "<s>", "</s>", "<pad>", "<image>")
    template = (
        "{{- bos_token }}{%- for message in messages %}{%- if message.role == 'user' %}{{- '[INST] ' }}"
        + write_parts("<image>\\n") + "{{- ' [/INST]' }}{%- else %}" + write_parts("")
        + "{{- eos_token }}{%- endif %}{%- endfor %}"
    )  # fmt: skip
    ends = ("</s>", "<pad>")
    tokenizer = kit.train_tokenizer(special, *ends, template, "<s>", image_token="<image>")
    ids = tokenizer.convert_tokens_to_ids
    tiles = [[28, 56], [56, 28], [56, 56]]
    config = t.LlavaNextConfig(
        text_config={
            "model_type": "mistral",
            **kit.size_text(tokenizer, *ends, head_dim=kit.head_dim, sliding_window=None),
        },
        vision_config={"model_type": "clip_vision_model", **kit.siglip, "image_size": 28, "patch_size": 14},
        image_token_index=ids("<image>"), image_grid_pinpoints=tiles, vision_feature_layer=-2,
    )  # fmt: skip
    processor = t.LlavaNextProcessor(
        image_processor=t.LlavaNextImageProcessor(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=tiles
        ),
        tokenizer=tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=template,
    )  # fmt: skip
    kit.save(t.LlavaNextForConditionalGeneration(config), processor, ids([ends[0]]), ids(ends[1]))
