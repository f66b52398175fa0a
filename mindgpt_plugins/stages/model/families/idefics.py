"""Idefics3, whose processor SmolVLM has as well: pictures cut into rows and columns."""

from __future__ import annotations

from mindgpt_plugins.stages.model.families.kit import Kit, write_parts


def build_idefics3(kit: Kit) -> None:
    """Write a Idefics3."""
    import transformers as t

    rows = tuple(f"<row_{i}_col_{j}>" for i in range(1, 5) for j in range(1, 5))
    special = (
        "<|endoftext|>", "<|begin_of_text|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>",
        "<global-img>", *rows,
    )  # fmt: skip
    template = (
        "{{- '<|begin_of_text|>' }}{%- for message in messages %}{{- message.role | capitalize + ':' }}"
        + write_parts("<image>")
        + "{{- '<end_of_utterance>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- 'Assistant:' }}{%- endif %}"
    )
    ends = ("<end_of_utterance>", "<|endoftext|>")
    tokenizer = kit.train_tokenizer(
        special, *ends, template, "<|begin_of_text|>", fake_image_token="<fake_token_around_image>",
        image_token="<image>", global_image_token="<global-img>", end_of_utterance_token="<end_of_utterance>",
    )  # fmt: skip
    ids = tokenizer.convert_tokens_to_ids
    config = t.Idefics3Config(
        text_config={"model_type": "llama", **kit.size_text(tokenizer, *ends)},
        vision_config={**kit.siglip, "image_size": 32, "patch_size": 8},
        image_token_id=ids("<image>"), scale_factor=2, pad_token_id=ids(ends[1]),
    )  # fmt: skip
    processor = t.Idefics3Processor(
        image_processor=t.Idefics3ImageProcessor(
            size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=True
        ),
        tokenizer=tokenizer, image_seq_len=4, chat_template=template,
    )  # fmt: skip
    kit.save(t.Idefics3ForConditionalGeneration(config), processor, ids([ends[0]]), ids(ends[1]))
