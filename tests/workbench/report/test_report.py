from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import synthetic

from mindgpt_plugins.core.files import FileError
from mindgpt_plugins.core.metrics import append_record
from mindgpt_plugins.guards.divergence import Divergence, write_divergence
from mindgpt_plugins.workbench.report import build_report
from mindgpt_plugins.workbench.report.curves import thin_curve


class Page(HTMLParser):
    """Balanced tags, the ``data`` elements, and everything that would be fetched from elsewhere."""

    VOID = {"meta", "img", "br", "line", "circle", "polyline", "rect", "link", "wbr"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.figures: dict[str, tuple[float, str]] = {}
        self.external: list[str] = []
        self.text: list[str] = []
        self._key: tuple[str, float] | None = None
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        for name in ("src", "href"):
            value = found.get(name) or ""
            if tag != "a" and value and not value.startswith(("data:", "#")):
                self.external.append(value)
        if tag == "data":
            self._key = (found["data-key"] or "", float(found["value"] or "nan"))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._key:
            self.figures[self._key[0]] = (self._key[1], data)
            self._key = None


def look_up(data: Any, key: str) -> Any:
    for part in key.split("."):
        data = data[part]
    return data


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = synthetic.make(tmp_path_factory.mktemp("finished"))
    build_report(run)
    return run


def test_the_page_is_one_file_that_fetches_nothing(finished: Path) -> None:
    page = finished / "report.html"
    parsed = Page(page.read_text())
    assert parsed.external == []
    assert "@import" not in page.read_text() and "url(" not in page.read_text()
    assert page.stat().st_size < 1_000_000


def test_every_headline_number_is_the_one_in_report_json(finished: Path) -> None:
    data = json.loads((finished / "report.json").read_text())
    figures = Page((finished / "report.html").read_text()).figures
    assert set(figures) == {
        "headline.domain.gain",
        "headline.domain.before",
        "headline.domain.after",
        "headline.retention",
        "headline.worst_retention",
        "headline.rl.accuracy.change",
        "headline.rl.pass_at.change",
    }
    for key, (value, shown) in figures.items():
        assert value == look_up(data, key), key
        assert float(shown) == pytest.approx(100 * value, abs=0.051), key


def test_figures_agree_with_the_evaluations(finished: Path) -> None:
    data = json.loads((finished / "report.json").read_text())
    predictions = {
        model: [json.loads(line) for line in (path / "predictions.jsonl").read_text().splitlines()]
        for model in ("base", "rl")
        for path in finished.parent.glob(f"stages/evaluate_{model}-*")
    }

    def accuracy(model: str, **wanted: str) -> float:
        rows = [p for p in predictions[model] if all(p[k] == v for k, v in wanted.items())]
        return sum(p["correct"] for p in rows) / len(rows)

    h = data["headline"]
    assert (h["base"], h["final"], data["held_out_set"]) == ("base", "rl", "test")
    gain = accuracy("rl", source="domain") - accuracy("base", source="domain")
    assert h["domain"]["gain"] == pytest.approx(gain)
    ratios = [accuracy("rl", capability=c) / accuracy("base", capability=c) for c in synthetic.TASKS["general"]]
    assert h["retention"] == pytest.approx(sum(ratios) / len(ratios))
    assert [g["stage"] for g in h["gates"]] == ["evaluate_restore", "evaluate_align", "evaluate_rl"]
    row = data["matrix"]["rows"][0]
    assert row["model"] == "base"
    for column, cell in zip(data["matrix"]["columns"], row["cells"], strict=True):
        if column["capability"] != "all":
            assert cell["accuracy"] == accuracy("base", capability=column["capability"]) and cell["n"] == 120


def test_examples_show_the_same_items_for_every_model_with_pictures(finished: Path) -> None:
    data = json.loads((finished / "report.json").read_text())
    assert len(data["examples"]) == 12
    for item in data["examples"]:
        assert tuple(item["replies"]) == synthetic.MODELS
        assert Path(item["images"][0]).is_file()
    assert len({item["capability"] for item in data["examples"]}) == 7
    text = (finished / "report.html").read_text()
    assert text.count("data:image/png;base64,") >= 12
    assert "&lt;picture&gt;" in text and "<picture>" not in text  # replies are escaped


def test_rollouts_span_the_run_and_keep_components(finished: Path) -> None:
    groups = json.loads((finished / "report.json").read_text())["rollouts"]
    assert [g["step"] for g in groups][0] == 1 and groups[-1]["step"] == 60 and len(groups) == 6
    assert all(len(g["replies"]) == g["size"] == 8 for g in groups)
    assert {"accuracy", "format", "conciseness"} == set(groups[0]["replies"][0]["components"])
    assert all(Path(g["images"][0]).is_file() for g in groups)  # relative names found in the data stage's folder


def test_curves_are_grouped_by_what_they_mean(finished: Path) -> None:
    training = {t["stage"]: t for t in json.loads((finished / "report.json").read_text())["training"]}
    charts = {c["title"]: c for c in training["domain"]["charts"]}
    assert set(charts["loss by source"]["lines"]) == {"all", "general", "domain"}
    rl = {c["title"]: c for c in training["rl"]["charts"]}
    assert set(rl["reward components, mean"]["lines"]) == {"accuracy", "format"}
    assert not rl["actor"]["main"]
    reward = training["rl"]["reward"]
    assert reward["key"] == "score/mean" and reward["last"] > reward["first"]


@pytest.mark.parametrize("until", ["tiny", "base", "evaluate_base", "restore_data", "align"])
def test_an_unfinished_run_is_shown_as_such(tmp_path: Path, until: str) -> None:
    page = build_report(synthetic.make(tmp_path, until=until, per_task=20))
    text = page.read_text()
    Page(text)
    data = json.loads(page.with_name("report.json").read_text())
    assert not data["complete"] and "not finished" in text
    pending = [s["name"] for s in data["stages"] if s["status"] == "pending"]
    assert pending and all(any(name in note for note in data["notes"]) for name in pending)
    assert data["headline"]["rl"] is None
    if until in ("tiny", "base"):
        assert data["headline"]["domain"] is None and "No evaluation has finished" in text


def test_stages_whose_folders_are_gone_do_not_break_the_page(tmp_path: Path) -> None:
    import shutil

    run = synthetic.make(tmp_path, per_task=20)
    shutil.rmtree(tmp_path / "stages")
    text = build_report(run).read_text()
    Page(text)
    assert "but its scores.json is gone" in text


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, per_task=20)
    for path in tmp_path.glob("stages/world-*/datasets/images/*.png"):
        path.unlink()
    assert re.search(r"picture \d+\.png is not there any more", build_report(run).read_text())


def test_ambiguous_verdicts_are_noted_where_there_are_any(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, per_task=20)
    page = build_report(run)
    assert "verdicts are ambiguous" not in page.read_text()
    first = sorted(tmp_path.glob("stages/*/scores.json"))[0]
    scores = json.loads(first.read_text())
    first.write_text(json.dumps(scores | {"replies": 80, "ambiguous": 2}))
    text = build_report(run).read_text()
    data = json.loads(page.with_name("report.json").read_text())
    (note,) = [note for note in data["notes"] if "verdicts are ambiguous" in note]
    assert "2 of 80 verdicts are ambiguous (2.5 %)" in note and "2 of 80 verdicts are ambiguous" in text
    assert sorted(e["ambiguous"] for e in data["evaluations"])[-2:] == [0, 2]


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no manifest\.json"):
        build_report(tmp_path)


def test_thinning_keeps_short_curves_and_averages_long_ones() -> None:
    short = [[float(i), 1.0] for i in range(50)]
    assert thin_curve(short) == short
    long = thin_curve([[float(i), float(i % 2)] for i in range(1, 1001)], most=100)
    assert len(long) == 100 and (long[0][0], long[-1][0]) == (1.0, 1000.0)
    assert all(value == 0.5 for _, value in long)


def test_every_key_of_report_json_is_documented(finished: Path) -> None:
    text = (Path(__file__).parents[3] / "docs/report.md").read_text()
    data = json.loads((finished / "report.json").read_text())
    keys = set(data) | set(data["headline"]) | set(data["matrix"]) | set(data["examples"][0]) | set(data["rollouts"][0])
    keys |= set(data["training"][0]) | set(data["retention"][0]) | set(data["matrix"]["rows"][0]["cells"][0])
    assert sorted(key for key in keys if f"`{key}`" not in text) == []


def test_branches_say_what_fell_and_rose_on_the_same_items(finished: Path) -> None:
    found = json.loads((finished / "report.json").read_text())["branches"]
    assert found["set"] == "test" and [m["model"] for m in found["models"]] == list(synthetic.MODELS)
    domain = found["compared"][0]  # right after domain learning: 0.80 → 0.55 on general, 0.15 → 0.72 on domain items
    assert (domain["with"], domain["model"]) == ("base", "domain")
    verdicts = {(b["part"], b["axis"], ".".join(b["path"])): b["verdict"] for b in domain["branches"]}
    assert verdicts["general", "capability", "perception"] == verdicts["general", "capability", "reading"] == "fell"
    assert verdicts["domain", "capability", "domain"] == verdicts["domain", "knowledge", "vehicles.road"] == "rose"
    assert {part["part"]: part["n"] for part in found["models"][0]["parts"]} == {"general": 600, "domain": 240}
    assert sum(t["n"] for t in domain["totals"]) == domain["items"] == 840
    text = (finished / "report.html").read_text()
    assert 'id="branches"' in text and f"{domain['tests']} different ones tested" in text
    assert text.index("base → rl") < text.index("base → domain")  # what the run ended with comes first
    fell = text.split("base → domain: ")[1]
    count = sum(verdict == "fell" for verdict in verdicts.values())
    assert fell.startswith(f'<b class="bad">{count} fell')


def test_level_one_is_drawn_over_all_models(finished: Path) -> None:
    text = (finished / "report.html").read_text()
    section = text[text.index('<section id="branches">') :]
    (first,) = [f for f in section.split("<figure")[1:5] if "<figcaption>general · capability" in f]
    assert "perception, domain:" in first and "perception, rl:" in first
    assert all(f">{model}</text>" in first for model in synthetic.MODELS)


def test_one_evaluation_shows_its_branches_without_a_comparison(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, until="evaluate_base", per_task=20)
    (stage,) = tmp_path.glob("stages/evaluate_base-*")
    empty = {"axis": "knowledge", "level": 3, "path": ["signs", "warning", "ice"], "n": 0}
    (stage / "branches.json").write_text(json.dumps({"by_set": {"test": [empty]}}))
    text = build_report(run).read_text()
    Page(text)
    data = json.loads((run / "report.json").read_text())["branches"]
    assert data["compared"] == [] and data["models"][0]["never_asked"] == {"knowledge": ["signs.warning.ice"]}
    assert "the weakest first" in text and "knowledge leaves never asked: 1" in text and " fell" not in text


def test_evaluations_from_before_knowledge_labels_show_the_other_axis(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, per_task=20)
    for path in tmp_path.glob("stages/evaluate_*/predictions.jsonl"):
        path.write_text(re.sub(r'"knowledge": (null|"[^"]*"), ', "", path.read_text()))
    build_report(run)
    data = json.loads((run / "report.json").read_text())
    assert {b["axis"] for b in data["branches"]["compared"][0]["branches"]} == {"capability"}
    assert any("without that axis: base, domain" in note for note in data["notes"])


def test_labels_are_text_wherever_they_are_shown(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, per_task=20)
    for path in tmp_path.glob("stages/evaluate_*/predictions.jsonl"):
        path.write_text(path.read_text().replace("perception.colour", "<i>per&.<i>col'our"))
    text = build_report(run).read_text()
    Page(text)
    section = text[text.index('<section id="branches">') :]
    assert "<i>per" not in section and "<i>col" not in section and "&lt;i&gt;per&amp;" in section


def test_replies_without_an_answer_are_shown(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, per_task=20)
    (path,) = tmp_path.glob("stages/evaluate_rl-*/predictions.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines[:7]:
        line |= {"answer": None, "correct": False}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "7 of 140 replies state no answer" in build_report(run).read_text()


def test_a_data_stage_shows_its_steps_and_links_to_its_own_page(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path)
    manifest = json.loads((run / "manifest.json").read_text())
    world = next(entry for entry in manifest["stages"] if entry["name"] == "world")
    world["kind"] = "data"
    (run / "manifest.json").write_text(json.dumps(manifest))
    steps = (run / world["folder"]).resolve() / "work" / "steps"
    steps.mkdir(parents=True)
    (steps / "filter.json").write_text('{"step": "filter", "kept": 71, "dropped": 9, "fingerprint": "ab"}')
    page = build_report(run).read_text()
    assert "kept 71, dropped 9" in page
    assert "work/report.html" in page


def test_the_verb_prints_branches(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from mindgpt_plugins.cli import build_cli_app

    run = synthetic.make(tmp_path)
    shown = CliRunner().invoke(build_cli_app(), ["report", str(run), "--branches"], env={"COLUMNS": "140"}).stdout
    assert "rl on test, domain items" in shown and "rl since base" in shown
    assert re.search(r"domain\.vehicle +120 .* rose", shown)
    nothing = CliRunner().invoke(
        build_cli_app(), ["report", str(synthetic.make(tmp_path / "b", until="tiny")), "--branches"]
    )
    assert "no evaluation of this run has finished" in str(nothing.exception)


def test_a_stage_that_diverged_and_the_warnings_of_a_guard_are_noted(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, until="base", per_task=20)
    manifest = json.loads((run / "manifest.json").read_text())
    folders = {stage["name"]: Path(run, stage["folder"]) for stage in manifest["stages"]}
    for step in range(1, 6):
        line = {"step": step, "total": 9, "guard": "loss_spike", "text": f"loss {step} is a <spike>"}
        append_record(folders["base"] / "warnings.jsonl", line)
    stop = Divergence(found="loss is nan", step=7, total=9, finite=6, checkpoint="m/checkpoint-5", advice=("less",))
    write_divergence(folders["domain"], stop)
    page = build_report(run)
    data = json.loads(page.with_name("report.json").read_text())
    stages = {stage["name"]: stage for stage in data["stages"]}
    found = {"found": "loss is nan at step 7 of 9", "checkpoint": "m/checkpoint-5", "advice": ["less"]}
    assert stages["domain"]["stopped"] == found and stages["base"]["stopped"] is None
    assert [warning["step"] for warning in stages["base"]["warnings"]] == [1, 2, 3, 4, 5]
    said = "domain was stopped: loss is nan at step 7 of 9; last good checkpoint: m/checkpoint-5; try less"
    assert said in data["notes"] and said in page.read_text()
    assert "base: 2 more warnings are in its warnings.jsonl" in data["notes"]
    assert "&lt;spike&gt; (guard.loss_spike)" in page.read_text()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("predictions.jsonl", "evaluate_rl: its artefact 'predictions' is damaged: {path} has {size} bytes instead of"),
        ("scores.json", "evaluate_rl: its artefact 'scores' is damaged: {path} has {size} bytes instead of"),
        ("metrics.jsonl", "rl: {path} line"),
        ("stage.json", ""),
    ],
)
def test_files_that_are_cut_are_named_and_the_rest_is_shown(
    tmp_path: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = synthetic.make(tmp_path, per_task=20)
    stage = "rl" if name == "metrics.jsonl" else "evaluate_rl"
    (path,) = tmp_path.glob(f"stages/{stage}-*/{name}")
    size = path.stat().st_size // 2
    path.write_bytes(path.read_bytes()[:size] + "é".encode()[:1])
    build_report(run)
    data = json.loads((run / "report.json").read_text())
    told = "\n".join(data["notes"]) + capsys.readouterr().err
    assert str(path) in told and said.format(path=path, size=f"{size + 1:,}") in told
    assert "align" in {e["model"] for e in data["evaluations"]}


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, per_task=5)
    (run / "manifest.json").write_text("[]")
    with pytest.raises(FileError, match=r"quickstart/manifest\.json is no manifest .*mindgpt run"):
        build_report(run)
