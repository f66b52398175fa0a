"""Gemma 3 and Gemma 4: a begin token, pictures of a fixed size or number of tokens."""

from __future__ import annotations

from mindgpt_plugins.stages.model.families.kit import Kit, write_parts


def build_gemma3(kit: Kit) -> None:
    """Write a Gemma 3."""
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
        + write_parts("<start_of_image>", "part.text | trim")
        + "{{- '<end_of_turn>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}"
        "{%- endif %}"
    )
    tokenizer = kit.train_tokenizer(
        special, "<eos>", "<pad>", template, "<bos>", image_token="<image_soft_token>", boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
    )  # fmt: skip
    ids = tokenizer.convert_tokens_to_ids
    layers = kit.alternate_layers("sliding_attention", "full_attention")
    config = t.Gemma3Config(
        text_config=kit.size_text(
            tokenizer, "<eos>", "<pad>", head_dim=kit.head_dim, sliding_window=64, query_pre_attn_scalar=kit.head_dim,
            num_hidden_layers=len(layers), layer_types=layers,
        ),
        vision_config={**kit.siglip, "image_size": 56, "patch_size": 14, "vision_use_head": False},
        mm_tokens_per_image=4, boi_token_index=ids("<start_of_image>"), eoi_token_index=ids("<end_of_image>"),
        image_token_index=ids("<image_soft_token>"),
    )  # fmt: skip
    processor = t.Gemma3Processor(
        image_processor=t.Gemma3ImageProcessor(size={"height": 56, "width": 56}, image_seq_length=4),
        tokenizer=tokenizer, image_seq_length=4, chat_template=template,
    )  # fmt: skip
    model = t.Gemma3ForConditionalGeneration(config)
    model.model.multi_modal_projector.mm_input_projection_weight.data.normal_(0, kit.config.initializer_std)
    kit.save(model, processor, ids(["<eos>", "<end_of_turn>"]), ids("<pad>"))


def build_gemma4(kit: Kit) -> None:
    """Write a Gemma 4."""
    import transformers as t

    special = (
        "<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", "<|image>", "<image|>", "<|image|>", "<|video|>",
        "<|audio>", "<audio|>", "<|audio|>", "<|tool_response>",
    )  # fmt: skip
    template = (
        "{{- bos_token }}{%- for message in messages %}"
        "{{- '<|turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}"
        + write_parts("<|image|>", "part.text | trim")
        + "{{- '<turn|>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|turn>model\\n' }}{%- endif %}"
    )
    tokenizer = kit.train_tokenizer(
        special, "<eos>", "<pad>", template, "<bos>", image_token="<|image|>", boi_token="<|image>",
        eoi_token="<image|>", audio_token="<|audio|>", boa_token="<|audio>", eoa_token="<audio|>",
    )  # fmt: skip
    ids = tokenizer.convert_tokens_to_ids
    layers = kit.alternate_layers("sliding_attention", "full_attention", least=4)
    text = kit.size_text(
        tokenizer, "<eos>", "<pad>", num_hidden_layers=len(layers), head_dim=kit.head_dim,
        global_head_dim=2 * kit.head_dim, sliding_window=64,
        layer_types=layers, hidden_size_per_layer_input=16,
        num_kv_shared_layers=2, use_bidirectional_attention="vision",
    )  # fmt: skip
    config = t.Gemma4Config(
        text_config={**text, "vocab_size_per_layer_input": text["vocab_size"]},
        vision_config={
            **kit.siglip, "num_key_value_heads": kit.config.vision_heads, "head_dim": kit.vision_head_dim,
            "patch_size": 16, "pooling_kernel_size": 3,
            "position_embedding_size": 256,
        },
        audio_config=None, boi_token_id=ids("<|image>"), eoi_token_id=ids("<image|>"), image_token_id=ids("<|image|>"),
        video_token_id=ids("<|video|>"), boa_token_id=ids("<|audio>"), eoa_token_index=ids("<audio|>"),
        audio_token_id=ids("<|audio|>"), initializer_range=kit.config.initializer_std,
    )  # fmt: skip
    processor = t.Gemma4Processor(
        feature_extractor=t.Gemma4AudioFeatureExtractor(), image_processor=t.Gemma4ImageProcessor(max_soft_tokens=70),
        tokenizer=tokenizer, video_processor=t.Gemma4VideoProcessor(), image_seq_length=70, chat_template=template,
    )  # fmt: skip
    kit.save(t.Gemma4ForConditionalGeneration(config), processor, ids(["<eos>", "<turn|>"]), ids("<pad>"))
