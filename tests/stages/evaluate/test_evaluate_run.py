from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mindgpt_plugins.answers import GoldError
from mindgpt_plugins.core.files import load_jsonl
from mindgpt_plugins.core.registry import get_registered
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.evaluate.branches import LabelError
from mindgpt_plugins.stages.evaluate.config import EvaluateConfig
from mindgpt_plugins.stages.evaluate.paired import CompareError
from mindgpt_plugins.stages.evaluate.run import GateFailed, run_evaluation


def render(
    folder: Path, model: Path, datasets: Path, inputs: dict[str, dict[str, str]] | None = None, **keys: Any
) -> Path:
    """Render a real stage into ``folder`` and return its config file."""
    folder.mkdir()
    context = Context(
        name="evaluate_base",
        folder=folder,
        inputs={"base": {"model": str(model)}, "world": {"datasets": str(datasets)}, **(inputs or {})},
        seed=0,
        max_pixels=64 * 64,
    )
    settings = {
        "kind": "evaluate",
        "model": "base",
        "sets": ["world/dev"],
        "samples": {"n": 4, "rows": 2},
        "batch_size": 8,
        "max_new_tokens": 6,
        **keys,
    }
    config = EvaluateConfig.model_validate(settings)
    stage = get_registered("stage", "evaluate")()
    assert stage.check(config, context) == []
    (command,) = stage.render(config, context)
    assert command.argv == ("-m", "mindgpt_plugins.stages.evaluate", "evaluate.json")
    return folder / "evaluate.json"


def test_scores_cover_every_source_and_capability(tmp_path: Path, tiny_model: Path, datasets: Path) -> None:
    scores = run_evaluation(render(tmp_path / "stage", tiny_model, datasets))
    labels = {(c["source"], c["capability"]): c["n"] for c in scores["cells"]}
    assert labels == {
        ("all", "all"): 18,
        ("domain", "all"): 6,
        ("domain", "domain.sign"): 6,
        ("general", "all"): 12,
        ("general", "perception.colour"): 6,
        ("general", "perception.shape"): 6,
    }
    whole = scores["cells"][0]
    assert whole["sampled"] == 6 and set(whole["pass_at"]) == {"1", "2", "4"}
    assert json.loads((tmp_path / "stage/scores.json").read_text()) == scores
    assert (scores["replies"], scores["ambiguous"]) == (18, 0)
    lines = load_jsonl(tmp_path / "stage/metrics.jsonl")
    assert lines[-1]["step"] == lines[-1]["total"] == 18 + 6 + 6


@pytest.mark.parametrize("torn", ["greedy", "samples", "blank"])
def test_a_killed_evaluation_resumes_to_the_same_files(
    tmp_path: Path, tiny_model: Path, datasets: Path, torn: str
) -> None:
    config = render(tmp_path / "stage", tiny_model, datasets)
    run_evaluation(config)
    folder = config.parent
    names = ["scores.json", "predictions.jsonl", *(f"passes/{n}.jsonl" for n in ("greedy", "samples", "blank"))]
    straight = {name: (folder / name).read_bytes() for name in names}
    metrics = load_jsonl(folder / "metrics.jsonl")
    # As after kill -9 in the middle of a write: one file torn in mid-line, later ones not there yet.
    order = ["greedy", "samples", "blank"]
    path = folder / f"passes/{torn}.jsonl"
    path.write_bytes(path.read_bytes()[: int(0.6 * path.stat().st_size)])
    for later in order[order.index(torn) + 1 :]:
        (folder / f"passes/{later}.jsonl").unlink()
    (folder / "scores.json").unlink()
    (folder / "predictions.jsonl").unlink()
    before = {line["key"] for line in load_jsonl(path, torn="drop")}
    run_evaluation(config)
    assert before  # something was really left to skip
    assert {name: sorted((folder / name).read_bytes().splitlines()) for name in names} == {
        name: sorted(content.splitlines()) for name, content in straight.items()
    }
    assert (folder / "scores.json").read_bytes() == straight["scores.json"]
    assert load_jsonl(folder / "metrics.jsonl") == metrics


def test_a_finished_evaluation_does_not_load_the_model_again(
    tmp_path: Path, tiny_model: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = render(tmp_path / "stage", tiny_model, datasets)
    scores = run_evaluation(config)
    monkeypatch.setattr("mindgpt_plugins.generation.hf_engine.Engine", None)
    assert run_evaluation(config) == scores


def test_the_gate_compares_with_earlier_evaluations(tmp_path: Path, tiny_model: Path, datasets: Path) -> None:
    run_evaluation(render(tmp_path / "before", tiny_model, datasets))
    inputs = {"evaluate_base": {"predictions": str(tmp_path / "before/predictions.jsonl")}}
    gate = {"before": "evaluate_base", "peak": "evaluate_base"}
    same = run_evaluation(render(tmp_path / "same", tiny_model, datasets, inputs, gate=gate))
    verdicts = [(g["group"], g["n"], g["needed"], g["verdict"]) for g in same["gate"]["groups"]]
    few = 6, 99, "undecided"  # too few items to show anything; that stops nobody
    assert verdicts == [("perception.colour", *few), ("perception.shape", *few)]
    wide = run_evaluation(
        render(tmp_path / "l1", tiny_model, datasets, inputs, gate={**gate, "groups": "l1", "margin": 0.3})
    )
    assert [(g["group"], g["n"], g["verdict"]) for g in wide["gate"]["groups"]] == [("perception", 12, "passed")]
    # The base now counts as all right, so the same model has lost everything.
    path = tmp_path / "before/predictions.jsonl"
    path.write_text("".join(json.dumps({**p, "correct": True}) + "\n" for p in load_jsonl(path)))
    with pytest.raises(GateFailed, match="FAILED"):
        run_evaluation(render(tmp_path / "worse", tiny_model, datasets, inputs, gate=gate))
    assert not json.loads((tmp_path / "worse/scores.json").read_text())["gate"]["passed"]
    warned = run_evaluation(render(tmp_path / "on", tiny_model, datasets, inputs, gate={**gate, "on_fail": "continue"}))
    assert not warned["gate"]["passed"]


def test_a_gate_on_a_set_that_is_not_evaluated_is_found_before_the_run(tmp_path: Path) -> None:
    config = EvaluateConfig.model_validate(
        {"kind": "evaluate", "model": "m", "sets": ["w/dev"], "gate": {"before": "e", "set": "tset"}}
    )
    context = Context("e2", tmp_path, {}, seed=0)
    (problem,) = get_registered("stage", "evaluate")().check(config, context)
    assert "'tset' is not evaluated here" in problem
    assert ("scores", "e") in list(config.references())


def test_branches_are_written_beside_the_scores(tmp_path: Path, tiny_model: Path, datasets: Path) -> None:
    tree = tmp_path / "tree.yaml"
    nodes = [("perception", 1, None), ("perception.x", 2, "perception"), ("perception.x.y", 3, "perception.x")]
    tree.write_text(
        json.dumps([{"id": i, "level": n, "parent": p, "name": i[-1], "definition": "d"} for i, n, p in nodes])
    )
    scores = run_evaluation(render(tmp_path / "stage", tiny_model, datasets, tree={"knowledge": str(tree)}))
    found = json.loads((tmp_path / "stage/branches.json").read_text())
    whole = scores["cells"][0]
    top = {tuple(b["path"]): b for b in found["branches"] if b["axis"] == "capability" and b["level"] == 1}
    assert sum(b["n"] for b in top.values()) == whole["n"] == found["items"] == 18
    assert sum(b["correct"] for b in top.values()) == whole["correct"]
    assert sum(b["blank_n"] for b in top.values()) == 6  # the sampled rows
    assert found["unlabelled"] == {"knowledge": 18, "capability": 0}
    asked = [(b["path"][-1], b["n"]) for b in found["branches"] if b["axis"] == "knowledge"]
    assert asked == [("perception", 0), ("x", 0), ("y", 0)]


def test_a_tree_that_cannot_be_read_is_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "tree.json").write_text("[]")
    trees = {"knowledge": "tree.json", "capability": "nowhere.yaml"}
    settings = {"kind": "evaluate", "model": "m", "sets": ["w/dev"]}
    stage, context = get_registered("stage", "evaluate")(), Context("e", tmp_path, {}, seed=0, recipe_folder=tmp_path)
    for axis, path in trees.items():
        config = EvaluateConfig.model_validate({**settings, "tree": {axis: path}})
        (problem,) = stage.check(config, context)
        assert problem.startswith("tree: ") and path in problem
        assert ("path", path) in list(config.references())


def test_every_row_can_be_asked_blank(tmp_path: Path, tiny_model: Path, datasets: Path) -> None:
    scores = run_evaluation(render(tmp_path / "stage", tiny_model, datasets, blank="all", samples=None))
    found = json.loads((tmp_path / "stage/branches.json").read_text())
    assert [b["blank_n"] == b["n"] for b in found["branches"]] == [True] * 5
    assert scores["cells"][0]["sighted_accuracy"] == scores["cells"][0]["accuracy"]


def test_a_bad_label_stops_before_the_model_is_asked(tmp_path: Path, datasets: Path) -> None:
    rows = (datasets / "dev.jsonl").read_text().replace("perception.colour", "perception..colour", 1)
    (datasets / "dev.jsonl").write_text(rows)
    config = render(tmp_path / "stage", tmp_path / "no-model", datasets)
    with pytest.raises(LabelError, match=r"capability of dev/r0: label 'perception\.\.colour' has an empty element"):
        run_evaluation(config)


def test_a_gold_answer_no_reply_can_match_stops_before_the_model_is_asked(tmp_path: Path, datasets: Path) -> None:
    first, *rest = (datasets / "dev.jsonl").read_text().split("\n")
    row = {**json.loads(first), "answer_type": "number", "answer": "many"}
    (datasets / "dev.jsonl").write_text("\n".join([json.dumps(row), *rest]))
    config = render(tmp_path / "stage", tmp_path / "no-model", datasets)
    with pytest.raises(GoldError, match="row dev/r0: gold answer 'many' of answer_type 'number' is no number"):
        run_evaluation(config)


def test_what_a_row_does_not_say_or_a_table_changed_is_told_before_the_model_is_asked(
    tmp_path: Path, datasets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, *rest = (datasets / "dev.jsonl").read_text().split("\n")
    floated = {**json.loads(first), "answer_type": "text", "answer": "5.0"}
    wrong = {**json.loads(second), "answer_type": "number", "answer": "many"}
    (datasets / "dev.jsonl").write_text("\n".join([json.dumps(floated), second, *rest]))
    config = render(tmp_path / "stage", tmp_path / "no-model", datasets)
    with pytest.raises(Exception, match="no-model"):
        run_evaluation(config)
    assert "1 of 18 gold answers are floats of whole numbers (5.0)" in capsys.readouterr().out
    untyped = {key: value for key, value in wrong.items() if key != "answer_type"}
    (datasets / "dev.jsonl").write_text("\n".join([json.dumps(untyped), second, *rest]))
    with pytest.raises(Exception, match="dev.jsonl.* line 1: field 'answer_type' is missing"):
        run_evaluation(config)


def label(datasets: Path, **labels: str) -> None:
    """Give rows of the set ``dev`` a knowledge label by uid."""
    rows = [json.loads(line) for line in (datasets / "dev.jsonl").read_text().splitlines()]
    lines = [json.dumps({**row, "knowledge": labels.get(row["uid"])}) + "\n" for row in rows]
    (datasets / "dev.jsonl").write_text("".join(lines))


def test_the_gate_may_group_by_knowledge(tmp_path: Path, tiny_model: Path, datasets: Path) -> None:
    run_evaluation(render(tmp_path / "before", tiny_model, datasets))  # written before the rows had labels
    inputs = {"evaluate_base": {"predictions": str(tmp_path / "before/predictions.jsonl")}}
    keys: dict[str, Any] = {"gate": {"before": "evaluate_base", "groups": "knowledge_l1"}}
    with pytest.raises(LabelError, match="none of the 12 general items of dev has a knowledge label"):
        run_evaluation(render(tmp_path / "none", tmp_path / "no-model", datasets, inputs, **keys))
    label(datasets, r0="red.a", r1="red.b", r2="green.a", r3="blue")
    scores = run_evaluation(render(tmp_path / "some", tiny_model, datasets, inputs, **keys))
    groups = {g["group"]: g["n"] for g in scores["gate"]["groups"]}
    assert groups == {"red": 2, "green": 1, "blue": 1, "(no label)": 8}


def test_branches_are_compared_with_an_earlier_evaluation(tmp_path: Path, tiny_model: Path, datasets: Path) -> None:
    run_evaluation(render(tmp_path / "before", tiny_model, datasets))
    path = tmp_path / "before/predictions.jsonl"
    path.write_text("".join(json.dumps({**p, "correct": True}) + "\n" for p in load_jsonl(path)))
    inputs = {"evaluate_base": {"predictions": str(path)}}
    run_evaluation(render(tmp_path / "now", tiny_model, datasets, inputs, compare="evaluate_base"))
    found = json.loads((tmp_path / "now/branches.json").read_text())["compared"]
    assert (found["with"], found["items"], found["only_before"], found["only_after"]) == ("evaluate_base", 18, 0, 0)
    fell = {
        (b["part"], ".".join(b["path"])): (b["n"], b["change"]) for b in found["branches"] if b["verdict"] == "fell"
    }
    assert fell == {("general", "perception"): (12, -1.0)}  # six items of a branch cannot say so among five branches
    path.write_text("".join(json.dumps({**p, "uid": p["uid"] + "x"}) + "\n" for p in load_jsonl(path)))
    with pytest.raises(CompareError, match="evaluate_base and this evaluation have no item in common"):
        run_evaluation(render(tmp_path / "other", tmp_path / "no-model", datasets, inputs, compare="evaluate_base"))
