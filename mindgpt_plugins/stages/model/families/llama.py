"""Llama: text only, a template that cannot join parts."""

from __future__ import annotations

from mindgpt_plugins.stages.model.families.kit import Kit


def build_llama(kit: Kit) -> None:
    """Write a Llama."""
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
    tokenizer = kit.train_tokenizer(special, *ends, template, "<|begin_of_text|>")
    ids = tokenizer.convert_tokens_to_ids
    model = t.LlamaForCausalLM(t.LlamaConfig(**kit.size_text(tokenizer, *ends)))
    kit.save(model, tokenizer, ids(["<|end_of_text|>", "<|eot_id|>"]), ids("<|pad|>"))
