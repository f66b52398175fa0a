import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.testing.stub import StubServer, find_prompt
from mindgpt_data.tree.files import load_tree

from mindgpt_plugins.cli import run_verb


@pytest.fixture
def mindgpt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs ``mindgpt data tree …``; returns the exit status and what was shown, on one line."""

    def run(*args: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mindgpt", "data", "tree", *map(str, args)])
        try:
            run_verb()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        shown = capsys.readouterr()
        return status, re.sub(r"\s+", " ", shown.out + shown.err)

    return run


def test_import_show_stats_export(mindgpt, tmp_path) -> None:
    mine, tree, out = tmp_path / "mine.txt", tmp_path / "mine.parquet", tmp_path / "mine.yaml"
    mine.write_text("Food\n  Fruit\n    Apples: red\n    Figs: blue\n")
    assert mindgpt("import", mine, "-o", tree) == (0, f"{tree}: 1 domains, 1 at level 2, 2 leaves (knowledge) ")
    status, shown = mindgpt("show", tree, "--depth", 3)
    assert status == 0 and "food.fruit.apples" in shown
    assert "food.fruit.figs" not in mindgpt("show", tree, "--search", "apple")[1]
    rows = tmp_path / "kept.jsonl"
    rows.write_text('{"knowledge": "food.fruit.figs"}\n{"knowledge": null}\n{"knowledge": "food.old"}\n')
    status, shown = mindgpt("stats", tree, "--rows", rows)
    assert (
        status == 0 and "leaves: 2" in shown and "covered: 50.0% of leaves" in shown and "1 items have a label" in shown
    )
    assert (
        mindgpt("export", tree, "-o", out)[0] == 0
        and load_tree("knowledge", out).leaves == load_tree("knowledge", tree).leaves
    )


def test_build_puts_a_domain_beside_the_seeds(mindgpt, tmp_path) -> None:
    (tmp_path / "farm.yaml").write_text("Farming: {children: {Barn: {children: {Hay: Dry grass.}}}}")
    assert mindgpt("build", "--seeds", tmp_path / "farm.yaml", "-o", tmp_path / "t.parquet")[0] == 0
    built, seeds = load_tree("knowledge", tmp_path / "t.parquet"), load_tree("knowledge")
    assert list(built.nodes.values())[: len(seeds)] == list(seeds.nodes.values()) and built.roots[-1] == "farming"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "--under", "nope"], "error: there is no knowledge label 'nope'"),
        (["export", "-o", "x.docx"], "use .parquet, .yaml, .json or .csv"),
        (["import", "gone.csv"], "gone.csv cannot be read"),
        (["expand", "--under", "food", "-o", "x.parquet"], "add endpoints.teacher"),
        (["expand", "--levels", "all", "-o", "x.parquet"], "give 3, or 2,3"),
    ],
)
def test_a_mistake_is_one_clear_line(mindgpt, arguments, message, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, shown = mindgpt(*arguments)
    assert status == 2 and message in shown and "Traceback" not in shown


def test_expand_with_a_server(mindgpt, tmp_path) -> None:
    def reply(body: dict[str, Any]) -> str:
        text = find_prompt(body)
        if "Candidates:" in text:
            numbers = re.findall(r"^(\d+)\. (.*)$", text, re.MULTILINE)
            return json.dumps(
                {"verdicts": [{"number": int(n), "entailed": "Cars" not in x, "reason": "no"} for n, x in numbers]}
            )
        names = [] if "Plums" in text else ["Plums", "Kiwis", "Cars"]
        topics = [{"name": n, "definition": f"{n} in pictures.", "exclusions": "", "exemplars": []} for n in names]
        return json.dumps({"topics": topics})

    mine, out = tmp_path / "mine.txt", tmp_path / "big.parquet"
    mine.write_text("Food\n  Fruit: sweet\n  Bread: baked\n    Rye: dark bread\n")
    with StubServer(reply=reply) as server:
        config = tmp_path / "data.yaml"
        config.write_text(f"endpoints: {{teacher: [{{base_url: '{server.url}', model: stub}}]}}\n")
        command = ("expand", mine, "tree.expand.rounds=3", "--config", config, "--under", "food.fruit", "-o", out)
        status, shown = mindgpt(*command, "--dry-run")
        assert (
            status == 0
            and "1 requests" in shown
            and "nothing was sent" in shown
            and not server.requests
            and not out.exists()
        )
        status, shown = mindgpt(*command)
        assert status == 0 and "2 new labels of 3 proposed in 3 requests" in shown, shown
        first, requests = out.read_bytes(), server.requests
        assert mindgpt(*command)[0] == 0 and server.requests == requests and out.read_bytes() == first
    assert load_tree("knowledge", out).leaves == ["food.fruit.plums", "food.fruit.kiwis", "food.bread.rye"]
    drops = [json.loads(line) for line in Path(f"{out}.drops.jsonl").read_text().splitlines()]
    assert [(drop["gate"], drop["key"]) for drop in drops] == [("critic", "food.fruit")]
    status, shown = mindgpt("expand", mine, "--config", config, "-o", mine)
    assert status == 2 and "--out must be another file" in shown
