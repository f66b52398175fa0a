import math

import pytest

from mindgpt_plugins.llamafactory_ext.columns import (
    DIFFICULTY,
    SOURCE,
    UID,
    Carrier,
    CarryingCollator,
    CarryingProcessor,
    DataError,
    Wanted,
    split_batch_columns,
)
from mindgpt_plugins.llamafactory_ext.settings import parse_section

STRICT = Wanted("source", "difficulty", "uid", need_source=True, need_difficulty=True, need_uid=True)
LAX = Wanted("source", "difficulty", "uid", need_source=False, need_difficulty=False, need_uid=False)
ROW = {"text": "x", "source": "domain", "difficulty": "0.5", "uid": 7}


def convert(row):
    return {"_prompt": [row["text"]]}


def test_a_row_keeps_its_facts():
    got = Carrier(convert, STRICT, "set")(ROW)
    assert got == {
        "_prompt": ["x"],
        "_mindgpt_uid": "7",
        "_mindgpt_source": "domain",
        "_mindgpt_dataset": "set",
        "_mindgpt_difficulty": 0.5,
    }


def test_columns_nobody_needs_may_be_missing():
    got = Carrier(convert, LAX, "set")({"text": "x"})
    assert got["_mindgpt_source"] == "set"  # the dataset stands in for the source
    assert math.isnan(got["_mindgpt_difficulty"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": None}, "dataset 'set': column 'source' is empty in a row"),
        ({"difficulty": float("nan")}, "row 7: difficulty must be a finite number, got nan"),
        ({"difficulty": "hard"}, "got 'hard'"),
    ],
)
def test_a_row_without_what_is_needed_stops_the_run(change, message):
    with pytest.raises(DataError, match=message):
        Carrier(convert, STRICT, "set")({**ROW, **change})


def test_a_missing_column_names_dataset_column_and_fix():
    row = {key: value for key, value in ROW.items() if key != "difficulty"}
    with pytest.raises(DataError, match="dataset 'set': column 'difficulty' does not exist.*mindgpt.columns"):
        Carrier(convert, STRICT, "set")(row)


class Dropping:
    """Drops rows whose prompt is empty, as the host drops invalid ones; packs pairs when asked to."""

    def preprocess_dataset(self, examples):
        kept = [p for p in examples["_prompt"] if p]
        return {"input_ids": [[len(p)] for p in kept]}

    def print_data_example(self, example):
        print("shown", example["input_ids"])


def batch(prompts, sources):
    n = len(prompts)
    return {
        "_prompt": prompts,
        "_mindgpt_uid": [str(i) for i in range(n)],
        "_mindgpt_source": sources,
        "_mindgpt_dataset": ["set"] * n,
        "_mindgpt_difficulty": [i / 10 for i in range(n)],
    }


def test_a_dropped_row_takes_its_facts_with_it():
    out = CarryingProcessor(Dropping(), packed=False).preprocess_dataset(batch(["a", "", "ccc"], ["s", "t", "u"]))
    assert out["input_ids"] == [[1], [3]]
    assert out[UID] == ["0", "2"]
    assert out[SOURCE] == ["s", "u"]
    assert out[DIFFICULTY] == [0.0, 0.2]


def test_packs_hold_one_source():
    calls = []

    class Packing(Dropping):
        def preprocess_dataset(self, examples):
            calls.append(examples["_mindgpt_source"])
            return {"input_ids": [sum(map(list, examples["_prompt"]), [])]}

    out = CarryingProcessor(Packing(), packed=True).preprocess_dataset(batch(["a", "b", "c"], ["s", "t", "s"]))
    assert calls == [["s", "s"], ["t"]]
    assert out["input_ids"] == [["a", "c"], ["b"]]
    assert out[SOURCE] == ["s", "t"]


def test_packs_hold_one_difficulty_bucket():
    class Packing(Dropping):
        def preprocess_dataset(self, examples):
            return {"input_ids": [list("".join(examples["_prompt"]))]}

    rows = batch(list("abcdefgh"), ["s", "t"] * 4)
    rows["_mindgpt_difficulty"] = [0.9, 0.1, 0.2, 0.8, 0.3, 0.2, 0.7, 0.9]
    out = CarryingProcessor(Packing(), packed=True, buckets=2).preprocess_dataset(rows)
    assert out["input_ids"] == [["c", "e"], ["g", "a"], ["b", "f"], ["d", "h"]]
    assert out[SOURCE] == ["s", "s", "t", "t"]
    assert out[DIFFICULTY] == pytest.approx([0.25, 0.8, 0.15, 0.85])
    few = CarryingProcessor(Packing(), packed=True, buckets=9).preprocess_dataset(batch(["a", "b"], ["s", "s"]))
    assert few["input_ids"] == [["a"], ["b"]]


def test_the_collator_hides_our_columns_from_the_host():
    seen = []
    collate = CarryingCollator(lambda rows: seen.extend(rows) or {"input_ids": 1}, {"s": 0, "t": 1}, {"a": 0, "b": 1})
    features = [
        {"input_ids": [1], UID: "b", SOURCE: "t", "mindgpt_dataset": "set", DIFFICULTY: 0.5},
        {"input_ids": [2], UID: "a", SOURCE: "other", "mindgpt_dataset": "set", DIFFICULTY: 0.1},
    ]
    got = collate(features)
    assert seen == [{"input_ids": [1]}, {"input_ids": [2]}]
    assert got[SOURCE].tolist() == [1, -1]
    assert got[UID].tolist() == [1, 0]
    rest, carried = split_batch_columns(got)
    assert rest == {"input_ids": 1}
    assert set(carried) == {SOURCE, DIFFICULTY, UID}
    assert SOURCE in got  # taking leaves the batch alone
    assert features[0][SOURCE] == "t"


def test_wanted_follows_the_section():
    wanted = Wanted.of(parse_section({"curriculum": "easy_to_hard", "columns": {"difficulty": "hardness"}}))
    assert (wanted.difficulty, wanted.need_difficulty, wanted.need_source) == ("hardness", True, False)
