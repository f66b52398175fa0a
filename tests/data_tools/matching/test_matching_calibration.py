"""The numbers in matching/text.py: how well words find topics of the shipped tree at the default threshold."""

from pathlib import Path

import pytest
import yaml
from mindgpt_data.embed import load_embedder
from mindgpt_data.matching import index, text
from mindgpt_data.tree.files import load_tree

WORDS = yaml.safe_load(Path(__file__).with_name("matching_words.yaml").read_text())


@pytest.fixture(scope="module")
def best(tmp_path_factory) -> dict[str, tuple[float, bool]]:
    """Word → cosine of its best leaf, and whether that leaf is right."""
    tree, model = load_tree("knowledge", None), load_embedder("static")
    topics = index.build_topic_index(tree, model.encode, model.name, tmp_path_factory.mktemp("cache"))
    found = {}
    for word, right in WORDS.items():
        hit = topics.beam(text.encode_phrases([word], model)[0], (3, 5, 20))[0]
        leaf = tree.columns.ids[hit.row]
        found[word] = hit.score, any(f"{leaf}.".startswith(f"{node}.") for node in right)
    return found


@pytest.mark.parametrize(
    ("least", "precision", "recall"), [(0.4, 0.85, 0.60), (text.LEAST, 0.88, 0.50), (0.55, 0.93, 0.42)]
)
def test_words_find_their_topics(best, least, precision, recall) -> None:
    kept = [right for score, right in best.values() if score >= least]
    assert sum(kept) / len(kept) >= precision
    assert sum(kept) / sum(bool(right) for right in WORDS.values()) >= recall
