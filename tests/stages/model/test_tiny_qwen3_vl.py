"""The folder loads with the Auto classes, and its prompts are the tokens LLaMA-Factory would write."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from PIL import Image  # noqa: E402

from mindgpt_plugins.stages.model.config import ModelConfig  # noqa: E402
from mindgpt_plugins.stages.model.run import build_model, derive_model_sizes  # noqa: E402

TEXTS = ["user", "assistant", "what colour is the square?", "answer: red", "answer: top left"] * 20
CONFIG = ModelConfig.model_validate(
    {"kind": "model", "tokenizer_from": ["world/train"], "hidden_size": 64, "layers": 1, "vision_layers": 1}
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    build_model(CONFIG, TEXTS, folder, 0, 32 * 32, 96 * 96)
    return folder


def messages(image: Image.Image) -> list[dict[str, object]]:
    content = [{"type": "image", "image": image}, {"type": "text", "text": "what colour is the square?"}]
    return [{"role": "user", "content": content}]


def test_auto_classes_load_it_and_a_forward_and_a_generation_work(folder: Path) -> None:
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder, attn_implementation="sdpa")
    inputs = processor.apply_chat_template(
        messages(Image.new("RGB", (96, 96), "red")), tokenize=True, add_generation_prompt=True, return_dict=True,
        return_tensors="pt",
    )  # fmt: skip
    assert int((inputs["input_ids"] == processor.image_token_id).sum()) == 9
    with torch.no_grad():
        logits = model(**inputs).logits
        out = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert torch.isfinite(logits).all()
    assert out.shape[1] <= inputs["input_ids"].shape[1] + 3
    assert model.dtype == torch.float32
    assert model.generation_config.eos_token_id == processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert model.generation_config.pad_token_id == processor.tokenizer.convert_tokens_to_ids("<|endoftext|>")


def test_one_setting_decides_the_size_of_an_image(folder: Path) -> None:
    processor = transformers.AutoProcessor.from_pretrained(folder)
    for side, tokens in ((96, 9), (200, 9), (32, 1)):
        grid = processor.image_processor(Image.new("RGB", (side, side)), return_tensors="pt")["image_grid_thw"]
        assert int(grid.prod()) // 4 == tokens


def test_special_tokens_are_single_and_words_of_the_world_are_too(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for token in (
        "<|im_start|>",
        "<|im_end|>",
        "<|image_pad|>",
        "<|video_pad|>",
        "<|vision_start|>",
        " colour",
        " red",
    ):
        assert len(tokenizer.encode(token, add_special_tokens=False)) == 1
    assert tokenizer.decode(tokenizer.encode("Grüße, 漢字!")) == "Grüße, 漢字!"


def test_same_seed_same_weights(folder: Path, tmp_path: Path) -> None:
    build_model(CONFIG, TEXTS, tmp_path / "again", 0, 32 * 32, 96 * 96)
    for name in ("model.safetensors", "tokenizer.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_prompts_are_the_tokens_llamafactory_writes(folder: Path) -> None:
    data = pytest.importorskip("llamafactory.data")
    from llamafactory.hparams import DataArguments

    processor = transformers.AutoProcessor.from_pretrained(folder)
    image = Image.new("RGB", (96, 96), "red")
    template = data.get_template_and_fix_tokenizer(processor.tokenizer, DataArguments(template="qwen3_vl_nothink"))
    for name, value in (("image_max_pixels", 96 * 96), ("image_min_pixels", 32 * 32), ("image_do_pan_and_scan", False)):
        setattr(processor, name, value)
    turns = [
        {"role": "user", "content": "<image>what colour is the square?"},
        {"role": "assistant", "content": "answer: red"},
    ]
    turns = template.mm_plugin.process_messages(turns, [image], [], [], processor)
    prompt, reply = template.encode_oneturn(processor.tokenizer, turns)
    ours = processor.apply_chat_template(
        messages(image), tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )["input_ids"][0].tolist()
    assert prompt == ours
    assert processor.tokenizer.decode(reply) in ("answer: red<|im_end|>", "answer: red<|im_end|>\n")


def test_sizes_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="divisible by heads"):
        ModelConfig.model_validate({"kind": "model", "tokenizer_from": ["a/b"], "heads": 3})


def test_the_sizes_are_known_before_it_is_made(folder: Path) -> None:
    config = transformers.AutoConfig.from_pretrained(folder)
    text, vision = derive_model_sizes(CONFIG, 96 * 96)
    assert text.pop("vocab_size") >= config.text_config.vocab_size
    for foreseen, made in ((text, config.text_config), (vision, config.vision_config)):
        assert foreseen == {key: getattr(made, key) for key in foreseen}
