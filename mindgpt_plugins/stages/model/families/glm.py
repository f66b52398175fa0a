"""GLM-4.1V and GLM-4.6V: areas as Qwen-VL, rounded otherwise."""

from __future__ import annotations

from mindgpt_plugins.stages.model.families.kit import Kit, write_parts


def _build_glm(kit: Kit, version: str) -> None:
    import transformers as t

    special = (
        "<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>",
        "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>", "<|image|>", "<|video|>",
    )  # fmt: skip
    template = (
        "{{- '[gMASK]<sop>' }}{%- for message in messages %}{{- '<|' + message.role + '|>\\n' }}"
        + write_parts("<|begin_of_image|><|image|><|end_of_image|>")
        + "{%- endfor %}{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}"
    )
    tokenizer = kit.train_tokenizer(
        special, "<|endoftext|>", "<|endoftext|>", template, image_token="<|image|>", video_token="<|video|>"
    )
    ids = tokenizer.convert_tokens_to_ids
    ends = ids(["<|endoftext|>", "<|user|>", "<|observation|>"])
    config = getattr(t, f"{version}Config")(
        text_config={
            **kit.size_text(tokenizer, "<|endoftext|>", "<|endoftext|>"),
            "rope_parameters": kit.size_rope(4, 2, 2, partial_rotary_factor=1.0),
        },
        vision_config=kit.size_qwen_sight(14, image_size=112),
        image_token_id=ids("<|image|>"), video_token_id=ids("<|video|>"),
        image_start_token_id=ids("<|begin_of_image|>"), image_end_token_id=ids("<|end_of_image|>"),
        video_start_token_id=ids("<|begin_of_video|>"), video_end_token_id=ids("<|end_of_video|>"),
    )  # fmt: skip
    sizes = {"size": kit.areas, "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    processor = getattr(t, f"{version}Processor")(
        image_processor=getattr(t, f"{version}ImageProcessor")(**sizes), tokenizer=tokenizer,
        video_processor=getattr(t, f"{version}VideoProcessor")(**sizes), chat_template=template,
    )  # fmt: skip
    kit.save(getattr(t, f"{version}ForConditionalGeneration")(config), processor, ends, ends[0])


def build_glm4v(kit: Kit) -> None:
    """Write a GLM-4.1V."""
    _build_glm(kit, "Glm4v")


def build_glm46v(kit: Kit) -> None:
    """Write a GLM-4.6V."""
    _build_glm(kit, "Glm46V")
