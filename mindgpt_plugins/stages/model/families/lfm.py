"""LFM2-VL: a hybrid language model, tiles with a thumbnail."""

from __future__ import annotations

from mindgpt_plugins.stages.model.families.kit import Kit, write_chatml


def build_lfm2_vl(kit: Kit) -> None:
    """Write a LFM2-VL."""
    import transformers as t

    rows = tuple(f"<|img_row_{i}_col_{j}|>" for i in range(1, 5) for j in range(1, 5))
    special = (
        "<|pad|>", "<|startoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<|image_start|>", "<|image_end|>",
        "<|img_thumbnail|>", *rows,
    )  # fmt: skip
    ends = ("<|im_end|>", "<|pad|>")
    tokenizer = kit.train_tokenizer(
        special, *ends, write_chatml("<image>", before="{{- bos_token }}"), "<|startoftext|>", image_token="<image>",
        image_start_token="<|image_start|>", image_end_token="<|image_end|>", image_thumbnail="<|img_thumbnail|>",
    )  # fmt: skip
    ids = tokenizer.convert_tokens_to_ids
    config = t.Lfm2VlConfig(
        text_config={
            "model_type": "lfm2",
            **kit.size_text(
                tokenizer, *ends, block_multiple_of=16, full_attn_idxs=list(range(1, kit.config.layers, 2))
            ),
        },
        vision_config={
            "model_type": "siglip2_vision_model", **kit.siglip, "patch_size": 16, "num_patches": 64,
            "vision_use_head": False,
        },
        image_token_id=ids("<image>"), projector_hidden_size=kit.config.hidden_size, downsample_factor=2,
    )  # fmt: skip
    kind = getattr(t, "Lfm2VlImageProcessor", None) or t.Lfm2VlImageProcessorFast
    processor = t.Lfm2VlProcessor(
        image_processor=kind(
            tile_size=128, min_image_tokens=4, max_image_tokens=16, encoder_patch_size=16, downsample_factor=2,
            max_num_patches=64, min_tiles=2, max_tiles=4,
        ),
        tokenizer=tokenizer, chat_template=tokenizer.chat_template,
    )  # fmt: skip
    kit.save(t.Lfm2VlForConditionalGeneration(config), processor, ids([ends[0]]), ids(ends[1]))
