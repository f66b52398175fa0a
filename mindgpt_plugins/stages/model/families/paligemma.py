"""PaliGemma: pictures of a fixed size, no chat template."""

from __future__ import annotations

from mindgpt_plugins.stages.model.families.kit import Kit


def build_paligemma(kit: Kit) -> None:
    """Write a PaliGemma."""
    import transformers as t

    ends = ("<eos>", "<pad>")
    # The real one has no chat template either.
    tokenizer = kit.train_tokenizer(
        ("<pad>", "<eos>", "<bos>", "<unk>", "<image>"), *ends, None, "<bos>", image_token="<image>"
    )
    pictures = t.SiglipImageProcessor(size={"height": 28, "width": 28})
    pictures.image_seq_length = 4
    processor = t.PaliGemmaProcessor(image_processor=pictures, tokenizer=tokenizer)
    ids = processor.tokenizer.convert_tokens_to_ids
    config = t.PaliGemmaConfig(
        text_config={"model_type": "gemma", **kit.size_text(processor.tokenizer, *ends, head_dim=kit.head_dim)},
        vision_config={
            "model_type": "siglip_vision_model", **kit.siglip, "image_size": 28, "patch_size": 14,
            "vision_use_head": False,
            "projection_dim": kit.config.hidden_size,
        },
        image_token_index=ids("<image>"), projection_dim=kit.config.hidden_size, hidden_size=kit.config.hidden_size,
    )  # fmt: skip
    kit.save(t.PaliGemmaForConditionalGeneration(config), processor, ids([ends[0]]), ids(ends[1]))
