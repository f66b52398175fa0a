"""InternVL 3 in its transformers form: tiles of a fixed size."""

from __future__ import annotations

from mindgpt_plugins.stages.model.families.kit import IM, Kit, write_chatml


def build_internvl(kit: Kit) -> None:
    """Write a InternVL."""
    import transformers as t

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>")
    tokenizer = kit.train_tokenizer(
        special, *IM, write_chatml("<IMG_CONTEXT>\\n"), start_image_token="<img>", end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>", video_token="<video>",
    )  # fmt: skip
    square = {"height": 56, "width": 56}
    config = t.InternVLConfig(
        text_config={"model_type": "qwen2", **kit.size_text(tokenizer, *IM)},
        vision_config={**kit.siglip, "image_size": [56, 56], "patch_size": [14, 14]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), image_seq_length=4, downsample_ratio=0.5,
    )  # fmt: skip
    processor = t.InternVLProcessor(
        image_processor=t.GotOcr2ImageProcessor(size=square, crop_to_patches=True, min_patches=1, max_patches=6),
        tokenizer=tokenizer, video_processor=t.InternVLVideoProcessor(size=square), image_seq_length=4,
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    ends = tokenizer.convert_tokens_to_ids(IM)
    kit.save(t.InternVLForConditionalGeneration(config), processor, ends[:1], ends[1])
