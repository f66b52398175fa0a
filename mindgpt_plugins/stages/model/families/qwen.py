"""Qwen2-VL, Qwen2.5-VL, Qwen3-VL with experts, Qwen3.5 and Qwen3: areas, three-dimensional positions."""

from __future__ import annotations

from typing import Any

from mindgpt_plugins.stages.model.families.kit import (
    IM,
    QWEN,
    QWEN2_SYSTEM,
    QWEN_NAMED,
    QWEN_PICTURE,
    Kit,
    find_media_ids,
    write_chatml,
)


def build_qwen2_5_vl(kit: Kit) -> None:
    """Write a Qwen2.5-VL."""
    sight = kit.size_qwen_sight(14, window_size=112, fullatt_block_indexes=[kit.config.vision_layers - 1])
    _build_qwen2(kit, "Qwen2_5_VL", sight)


def build_qwen2_vl(kit: Kit) -> None:
    """Write a Qwen2-VL, whose configuration calls the tower's width embed_dim."""
    sight = {
        "depth": kit.config.vision_layers, "embed_dim": kit.config.vision_hidden_size,
        "hidden_size": kit.config.hidden_size, "num_heads": kit.config.vision_heads, "mlp_ratio": 2,
        "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
    }  # fmt: skip
    _build_qwen2(kit, "Qwen2VL", sight)


def _build_qwen2(kit: Kit, version: str, sight: dict[str, Any]) -> None:
    import transformers as t

    tokenizer = kit.train_tokenizer(QWEN, *IM, write_chatml(QWEN_PICTURE, before=QWEN2_SYSTEM), **QWEN_NAMED)
    config = getattr(t, f"{version}Config")(
        text_config=kit.size_text(tokenizer, *IM, rope_parameters=kit.size_rope(4, 2, 2)),
        vision_config=sight,
        **find_media_ids(tokenizer),
    )
    sizes = {"size": kit.areas, "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    processor = getattr(t, f"{version}Processor")(
        image_processor=t.Qwen2VLImageProcessor(**sizes), tokenizer=tokenizer,
        video_processor=t.Qwen2VLVideoProcessor(**sizes), chat_template=tokenizer.chat_template,
    )  # fmt: skip
    ends = tokenizer.convert_tokens_to_ids(IM)
    kit.save(getattr(t, f"{version}ForConditionalGeneration")(config), processor, ends, ends[1])


EXPERTS: dict[str, Any] = {
    "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 64,
}  # fmt: skip


def build_qwen3_vl_moe(kit: Kit) -> None:
    """Write a Qwen3-VL with experts."""
    import transformers as t

    tokenizer = kit.train_tokenizer(QWEN, *IM, write_chatml(QWEN_PICTURE), **QWEN_NAMED)
    rope = kit.size_rope(4, 2, 2, mrope_interleaved=True)
    config = t.Qwen3VLMoeConfig(
        text_config=kit.size_text(tokenizer, *IM, head_dim=kit.head_dim, rope_parameters=rope, **EXPERTS),
        vision_config=kit.size_qwen_sight(16, num_position_embeddings=64, deepstack_visual_indexes=[0]),
        **find_media_ids(tokenizer),
    )
    _save_qwen3(kit, t.Qwen3VLMoeForConditionalGeneration(config), tokenizer)


def _build_hybrid(kit: Kit, version: str, **more: Any) -> None:
    import transformers as t

    # As the real one: a thought is opened by default, closed at once when switched off, and finished replies have one.
    opened = (
        "<|im_start|>assistant\\n' }}{{- '<think>\\n\\n</think>\\n\\n' if enable_thinking is false else '<think>\\n"
    )
    block = "{{- '<think>\\n\\n</think>\\n\\n' if loop.last and message.role == 'assistant' else '' }}"
    said = "message.role + '\\n' }}"
    template = write_chatml(QWEN_PICTURE, opened=opened).replace(said, said + block)
    tokenizer = kit.train_tokenizer(QWEN, *IM, template, **QWEN_NAMED)
    config = getattr(t, f"{version}Config")(
        text_config=kit.size_text(
            tokenizer, *IM, num_hidden_layers=-(-kit.config.layers // 4) * 4, head_dim=2 * kit.head_dim,
            linear_key_head_dim=kit.head_dim, linear_value_head_dim=kit.head_dim,
            linear_num_key_heads=2, linear_num_value_heads=4, linear_conv_kernel_dim=4,
            rope_parameters=kit.size_rope(2, 1, 1, mrope_interleaved=True, partial_rotary_factor=0.25), **more,
        ),
        vision_config=kit.size_qwen_sight(16, num_position_embeddings=64),
        **find_media_ids(tokenizer),
    )  # fmt: skip
    _save_qwen3(kit, getattr(t, f"{version}ForConditionalGeneration")(config), tokenizer)


def build_qwen3_5(kit: Kit) -> None:
    """Write a Qwen3.5, dense."""
    _build_hybrid(kit, "Qwen3_5")


def build_qwen3_5_moe(kit: Kit) -> None:
    """Write a Qwen3.5 with experts."""
    _build_hybrid(kit, "Qwen3_5Moe", **EXPERTS)


def _save_qwen3(kit: Kit, model: Any, tokenizer: Any) -> None:
    import transformers as t

    sizes = {"size": kit.areas, "patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
    processor = t.Qwen3VLProcessor(
        image_processor=t.Qwen2VLImageProcessor(**sizes), tokenizer=tokenizer,
        video_processor=t.Qwen3VLVideoProcessor(**sizes), chat_template=tokenizer.chat_template,
    )  # fmt: skip
    ends = tokenizer.convert_tokens_to_ids(IM)
    kit.save(model, processor, ends, ends[1])


def build_qwen3(kit: Kit) -> None:
    """Write a Qwen3, text only."""
    import transformers as t

    tokenizer = kit.train_tokenizer(QWEN, *IM, write_chatml(""))
    model = t.Qwen3ForCausalLM(t.Qwen3Config(**kit.size_text(tokenizer, *IM, head_dim=kit.head_dim)))
    ends = tokenizer.convert_tokens_to_ids(IM)
    kit.save(model, tokenizer, ends, ends[1])
