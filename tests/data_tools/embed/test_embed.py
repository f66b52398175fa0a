import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mindgpt_data.embed import EmbedderError, load_embedder


def test_unit_vectors_of_any_batch() -> None:
    texts = [f"a road sign number {i}" for i in range(2500)]
    vectors = load_embedder().encode(texts)
    assert vectors.shape == (2500, load_embedder().dim) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(vectors[1500], load_embedder().encode([texts[1500]])[0], atol=1e-6)


def test_it_is_the_normalised_mean_of_wordllamas_token_vectors() -> None:
    model = load_embedder()
    ids = model._tokenizer.encode("brake disc", add_special_tokens=False).ids  # type: ignore[attr-defined]
    mean = model._vectors[ids].mean(0)  # type: ignore[attr-defined]
    np.testing.assert_allclose(model.encode(["brake disc"])[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_case_does_not_count() -> None:
    upper, lower = load_embedder().encode(["Brake Discs", "brake discs"])
    assert upper @ lower == pytest.approx(1.0, abs=1e-6)


def test_meaning_is_near() -> None:
    disc, pads, flower = load_embedder().encode(["brake disc wear", "worn brake pads", "tulip garden"])
    assert disc @ pads > 0.5 > disc @ flower


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=8))
def test_any_text_gives_a_unit_or_a_zero_vector(texts) -> None:
    norms = np.linalg.norm(load_embedder().encode(texts), axis=1)
    assert np.all((np.abs(norms - 1) < 1e-4) | (norms == 0))
    assert all(norms[i] == 0 for i, text in enumerate(texts) if not text)


def test_the_static_embedder_needs_no_torch_and_not_wordllama_itself() -> None:
    code = (
        "import sys; from mindgpt_data.embed import load_embedder; load_embedder().encode(['x']); "
        "assert not {'torch', 'transformers', 'wordllama', 'requests'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": ""})


def test_an_unknown_model_names_the_choices(tmp_path) -> None:
    with pytest.raises(EmbedderError, match="'static'.*local folder"):
        load_embedder("BAAI/bge-small-en")


def test_a_local_model_is_pooled_and_normalised(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "car", "bus"]))
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    config = transformers.BertConfig(
        vocab_size=7, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertModel(config).save_pretrained(tmp_path)
    vectors = load_embedder(str(tmp_path)).encode(["car", "", "bus bus bus car", "car"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 0, 1, 1], atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[3], atol=1e-5)  # padding does not matter
