"""A random Qwen3-VL of 60k parameters with a byte-level tokenizer, and a datasets folder it can be asked about."""

from __future__ import annotations

from pathlib import Path

import pytest
from mindgpt_data.export import write_set
from mindgpt_data.schema.rows import Row
from mindgpt_patches.cpu import wheels

SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
TEMPLATE = (
    "{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' }}{%- if m.content is string %}{{- m.content }}"
    "{%- else %}{%- for c in m.content %}{%- if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- else %}{{- c.text }}{%- endif %}{%- endfor %}{%- endif %}{{- '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wheels.install_finder()
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

    folder = tmp_path_factory.mktemp("tiny") / "model"
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(["what colour is it? answer: red"], trainer)
    names = ("vision_bos_token", "vision_eos_token", "image_token", "video_token")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
        extra_special_tokens=dict(zip(names, SPECIAL[3:], strict=True)),
    )
    patches = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
    images = Qwen2VLImageProcessor(**patches, size={"shortest_edge": 32 * 32, "longest_edge": 64 * 64})
    Qwen3VLProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(**patches),
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    token = dict(zip(SPECIAL, tokenizer.convert_tokens_to_ids(SPECIAL), strict=True))
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer) + 5,  # padded rows, as real checkpoints have
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,  # the smallest that vLLM knows on CPU
            "max_position_embeddings": 512,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [8, 4, 4],
                "mrope_interleaved": True,
            },
            "initializer_range": 0.2,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
            "patch_size": 16,
            "initializer_range": 0.2,
        },
        image_token_id=token["<|image_pad|>"],
        video_token_id=token["<|video_pad|>"],
        vision_start_token_id=token["<|vision_start|>"],
        vision_end_token_id=token["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config).float()
    model.generation_config.eos_token_id = token["<|im_end|>"]
    model.generation_config.pad_token_id = token["<|endoftext|>"]
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    """Set ``dev``: 12 general rows of two capabilities and 6 domain rows, three colours, two image sizes."""
    from PIL import Image

    folder = tmp_path / "datasets"
    (folder / "images").mkdir(parents=True)
    rows = []
    for i in range(18):
        colour = ("red", "green", "blue")[i % 3]
        image = f"images/{i}.png"
        Image.new("RGB", (64, 64 if i % 2 else 32), colour).save(folder / image)
        source = "domain" if i >= 12 else "general"
        capability = "domain.sign" if i >= 12 else ("perception.colour", "perception.shape")[i % 2]
        question = "what colour is it?" + " please" * (i % 4)
        rows.append(
            Row(
                uid=f"r{i}",
                image=[image] if i % 5 else [],
                question=question,
                answer=colour,
                response=f"answer: {colour}",
                answer_type="text",
                source=source,
                capability=capability,
                difficulty=i / 18,
                split="dev",
            )
        )
    write_set(rows, folder, "dev")
    return folder
