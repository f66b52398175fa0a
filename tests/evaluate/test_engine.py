from __future__ import annotations

from pathlib import Path

import pytest
from mindgpt_data.export import read_set

from mindgpt_plugins.generation.hf_engine import Engine, EngineError, Prompt


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Engine:
    return Engine(str(tiny_model), max_new_tokens=8, min_pixels=32 * 32, max_pixels=64 * 64, device="cpu")


def prompts(folder: Path) -> list[Prompt]:
    return [Prompt(r.uid, r.question, tuple(folder / i for i in r.image)) for r in read_set(folder, "dev")]


def test_greedy_in_a_padded_batch_equals_one_by_one(engine: Engine, datasets: Path) -> None:
    asked = prompts(datasets)
    assert engine.generate(asked) == [engine.generate([p])[0] for p in asked]


def test_samples_do_not_depend_on_the_batch_or_on_how_many_are_drawn(engine: Engine, datasets: Path) -> None:
    asked = prompts(datasets)[:6]
    together = engine.generate(asked, n=3)
    assert together == [engine.generate([p], n=3)[0] for p in reversed(asked)][::-1]
    assert [group[:2] for group in together] == engine.generate(asked, n=2)
    assert len({r.text for group in together for r in group}) > 6


def test_sharing_the_prefill_changes_nothing(engine: Engine, datasets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [p for p in prompts(datasets) if p.images]
    text = [p for p in prompts(datasets) if not p.images]
    assert engine.share_prefill
    for asked in (prompts(datasets), pictures, text):  # mixed, all with and all without pictures
        shared = engine.generate(asked, n=3)
        with monkeypatch.context() as patch:
            patch.setattr(engine, "share_prefill", False)
            assert engine.generate(asked, n=3) == shared


def test_samples_follow_the_models_distribution(engine: Engine, datasets: Path, tiny_model: Path) -> None:
    import torch

    first = prompts(datasets)[1]
    single = Engine(str(tiny_model), max_new_tokens=1, min_pixels=32 * 32, max_pixels=64 * 64, device="cpu")
    inputs = single._encode([first])
    logits = single.model(**inputs).logits[0, -1]
    logits[single.banned] = -torch.inf
    p = torch.softmax(logits.detach(), -1)
    texts = [single.tokenizer.decode([token], skip_special_tokens=True).strip() for token in range(len(p))]
    top = texts[int(p.argmax())]
    expected = sum(float(p[token]) for token, text in enumerate(texts) if text == top)  # bytes may share a text
    replies = single.generate([first], n=2000)[0]
    share = sum(r.text == top for r in replies) / len(replies)
    assert share == pytest.approx(expected, abs=4 * (expected / 2000) ** 0.5 + 0.01)


def test_the_seed_changes_samples(engine: Engine, datasets: Path, tiny_model: Path) -> None:
    other = Engine(str(tiny_model), max_new_tokens=8, min_pixels=32 * 32, max_pixels=64 * 64, seed=1, device="cpu")
    asked = prompts(datasets)[:4]
    assert other.generate(asked, n=2) != engine.generate(asked, n=2)
    assert other.generate(asked) == engine.generate(asked)


def test_blanking_makes_images_of_one_size_indistinguishable(engine: Engine, datasets: Path) -> None:
    pair = [Prompt("a", "what?", (datasets / "images/1.png",)), Prompt("b", "what?", (datasets / "images/3.png",))]
    blank = [Prompt(p.key, p.question, p.images, blank=True) for p in pair]
    seen, unseen = engine._encode(pair)["pixel_values"], engine._encode(blank)["pixel_values"]
    half = len(seen) // 2
    assert not seen[:half].equal(seen[half:])
    assert unseen[:half].equal(unseen[half:])
    assert unseen.shape == seen.shape


def test_a_prefix_is_continued_and_returned(engine: Engine) -> None:
    text = engine.generate([Prompt("a", "what?", prefix="answer: ")])[0][0].text
    assert text.startswith("answer: ")


def test_replies_never_hold_vision_placeholders_or_padded_rows(engine: Engine) -> None:
    token = engine.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert token in engine.banned
    assert engine.model.config.text_config.vocab_size - 1 in engine.banned
    assert not set(engine.eos) & set(engine.banned)


def test_batches_cover_all_prompts_sorted_and_independent_of_nothing_else(engine: Engine, datasets: Path) -> None:
    asked = prompts(datasets)
    batches = engine.batches(asked, 5)
    assert sorted(p.key for b in batches for p in b) == sorted(p.key for p in asked)
    assert [len(b) for b in batches] == [5, 5, 5, 3]
    assert batches == engine.batches(asked, 5)


def test_an_unreadable_image_is_named(engine: Engine, tmp_path: Path) -> None:
    broken = tmp_path / "x.png"
    broken.write_bytes(b"not a picture")
    with pytest.raises(EngineError, match=r"x\.png"):
        engine.generate([Prompt("a", "what?", (broken,))])
