"""Mistral 3 with Pixtral's pictures: rows with a break after each."""

from __future__ import annotations

from mindgpt_plugins.stages.model.families.kit import Kit, write_parts


def build_mistral3(kit: Kit) -> None:
    """Write a Mistral 3."""
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
        + write_parts("") + "{{- '[/SYSTEM_PROMPT]' }}{%- elif message.role == 'user' %}{{- '[INST]' }}"
        + write_parts("[IMG]") + "{{- '[/INST]' }}{%- else %}" + write_parts("")
        + "{{- eos_token }}{%- endif %}{%- endfor %}"
    )  # fmt: skip
    ends = ("</s>", "<pad>")
    tokenizer = kit.train_tokenizer(special, *ends, template, "<s>")
    ids = tokenizer.convert_tokens_to_ids
    config = t.Mistral3Config(
        text_config={
            "model_type": "mistral",
            **kit.size_text(tokenizer, *ends, head_dim=kit.head_dim, sliding_window=None),
        },
        vision_config={
            "model_type": "pixtral", **kit.siglip, "head_dim": kit.vision_head_dim, "image_size": 112, "patch_size": 14,
        },
        image_token_index=ids("[IMG]"), spatial_merge_size=2, vision_feature_layer=-1,
    )  # fmt: skip
    processor = t.PixtralProcessor(
        image_processor=t.PixtralImageProcessor(size={"longest_edge": 112}, patch_size=28), tokenizer=tokenizer,
        patch_size=14, spatial_merge_size=2, chat_template=template,
    )  # fmt: skip
    kit.save(t.Mistral3ForConditionalGeneration(config), processor, ids([ends[0]]), ids(ends[1]))
