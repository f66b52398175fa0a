"""The data report: right numbers, any state of the work folder, nothing a corpus can inject, bounded size."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mindgpt_data import cli
from mindgpt_data.io.work import BUDGET_COLUMNS, Drop, Work
from mindgpt_data.report.build import write_data_report as write_report
from mindgpt_data.report.tally import tally_rows
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.schema.rows import SUB_SCORES, Row
from mindgpt_data.steps import report as step
from mindgpt_data.tree.checks import build_tree as tree_of
from support.report_folder import build
from typer.testing import CliRunner

from mindgpt_plugins.core import files
from mindgpt_plugins.web.charts import Dot, draw_histogram, draw_places
from mindgpt_plugins.web.page import make_environment

WORLD = Path(str(resources.files("mindgpt_data.world")))
TREES = {"knowledge": str(WORLD / "knowledge.yaml"), "capability": str(WORLD / "capability.yaml")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return build(tmp_path_factory.mktemp("report") / "roads", images=30)


@pytest.fixture
def work(finished: Work, tmp_path: Path) -> Work:
    shutil.copytree(finished.folder, tmp_path / "roads", symlinks=True)
    return Work(tmp_path / "roads")


def settings(work: Work) -> DataSettings:
    return DataSettings.model_validate({"images": {"path": str(work.folder)}, "tree": TREES})


def report(work: Work) -> tuple[str, dict]:
    step.run(work, settings(work))
    return (work.folder / "report.html").read_text(), json.loads((work.folder / "report.json").read_text())


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def assert_harmless(page: str) -> None:
    for tag, attributes in Elements(page).found:
        assert tag not in ("iframe", "object", "embed", "base", "link"), tag
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, attributes)
            if name in ("src", "href", "action", "formaction"):
                assert value is not None and value.startswith(("data:image/jpeg;base64,", "#")), (tag, value)
    scripts = [attributes for tag, attributes in Elements(page).found if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "trees"}, {}]


def test_counts_are_those_of_the_files(finished: Work) -> None:
    page, data = report(finished)
    kept = list(finished.read_rows(finished.kept, "filter"))
    candidates = list(finished.read_rows(finished.candidates, "generate"))
    funnel = dict(data["overview"]["funnel"])
    assert (funnel["pictures"], funnel["items planned"]) == (30, 120)
    assert (funnel["items generated"], funnel["items kept"]) == (len(candidates), len(kept))
    assert data["gates"]["funnel"][-1]["after"] == len(kept)
    assert sum(g["dropped"] for g in data["gates"]["funnel"]) == len(candidates) - len(kept)
    assert sum(data["items"]["difficulty"]) == len(kept)
    groups = data["budget"]["groups"]
    for allocator in ("planned", "density", "uniform", "random"):
        assert sum(g[allocator] for g in groups) == 120
    assert [g["density"] for g in groups] == [g["planned"] for g in groups]
    assert {g["uniform"] / g["images"] for g in groups} == {4}
    for found in data["density"]["histograms"].values():
        assert sum(map(sum, found["counts"].values())) == 30
    for dimension in ("knowledge", "capability"):
        nodes = data["trees"][dimension]["nodes"]
        roots = [node for node in nodes if node[1] < 0]
        labelled = [r for r in kept if getattr(r, dimension) is not None]
        assert sum(node[6] for node in roots) == len(labelled)
        for i, node in enumerate(nodes):
            below = [n for n in nodes if n[1] == i]
            if below:
                assert node[2:4] + node[5:7] == [sum(n[k] for n in below) for k in (2, 3, 5, 6)]
    assert data["costs"]["cost"] == pytest.approx(60 * 0.0004)
    twins = -(-len(kept) // 10)
    assert (data["twins"]["items"], data["twins"]["alone"]) == (twins, 1)
    assert data["overview"]["funnel"][-1] == ["exported with twins", len(kept) + twins - 1]
    assert all(p["adversarial"]["image"] == ["datasets/images/blank.png"] for p in data["twins"]["pairs"])
    assert "picture not found" not in page
    assert f"{len(kept):,}" in page and "teacher-8b" in page


def test_copies_are_found(finished: Work) -> None:
    data = report(finished)[1]["near_duplicates"]
    assert (data["identical"], data["distinct"]) == (1, 29)
    pairs = {frozenset(pair["images"]): pair["bits"] for pair in data["pairs"]}
    names = [record.image for record in finished.read_images()[:3]]
    assert pairs[frozenset(names[:2])] is None
    assert pairs[frozenset((names[0], names[2]))] <= 4


def test_same_seed_same_bytes(work: Work) -> None:
    first = report(work)
    assert report(work) == first


def test_page_needs_nothing_else(finished: Work) -> None:
    page, _ = report(finished)
    assert_harmless(page)
    assert "@import" not in page and "url(" not in page and "fetch(" not in page


@pytest.mark.parametrize(
    "left",
    [
        (),
        ("images.jsonl",),
        ("images.jsonl", "density.parquet"),
        ("images.jsonl", "density.parquet", "matches.jsonl", "budget.parquet"),
        ("images.jsonl", "candidates.jsonl"),
        ("kept.jsonl",),
        ("density.parquet", "budget.parquet", "kept.jsonl"),
    ],
)
def test_any_state_of_the_folder_has_a_report(work: Work, left: tuple[str, ...]) -> None:
    for path in work.folder.iterdir():
        if path.suffix in (".jsonl", ".parquet", ".sqlite") and path.name not in left:
            path.unlink()
    shutil.rmtree(work.folder / "steps")
    page, data = report(work)
    assert_harmless(page)
    assert ("mindgpt data density" in page.split("Information density")[1]) == ("density.parquet" not in left)
    assert not any(s["done"] for s in data["overview"]["steps"])


def test_no_folder_and_broken_files_are_errors(work: Work, tmp_path: Path) -> None:
    with pytest.raises(files.FileError, match="no work folder"):
        step.run(Work(tmp_path / "nowhere"), settings(work))
    work.matches.write_text('{"image": "a"\n')
    with pytest.raises(files.FileError, match=r"matches.jsonl line 1"):
        report(work)


HOSTILE = "\"><img src=x onerror=alert(1)></script><script>alert(2)</script><!-- \u202e ' & ${1}"


def test_nothing_a_corpus_holds_becomes_markup(work: Work) -> None:
    image = work.read_images()[3]
    bad = dataclasses.replace(image, image=HOSTILE, source=HOSTILE, tags=[HOSTILE])
    files.write_jsonl(work.images, [image.to_json(), bad.to_json()])
    first = next(work.read_rows(work.kept, "filter"))
    fields = dict.fromkeys(("question", "answer", "response", "source", "knowledge", "capability"), HOSTILE)
    row = dataclasses.replace(first, uid=HOSTILE, image=[HOSTILE], **fields)
    twin = dataclasses.replace(row, uid="twin", type="adversarial", twin_uid=HOSTILE)
    for path in (work.candidates, work.kept):
        files.write_jsonl(path, [row.to_json(), twin.to_json()])
    for name in ("images", "filter"):
        work.write_drops(name, [Drop(name, HOSTILE, HOSTILE, HOSTILE, HOSTILE)])
    exported = [dataclasses.replace(r, image=["images/blank.png"]) for r in (row, twin)]
    files.write_jsonl(work.datasets / "roads_train.jsonl", [r.to_json() for r in exported])
    work.write_summary("filter", {"funnel": [{"gate": HOSTILE, "notes": [HOSTILE]}]})
    node = {"name": HOSTILE, "definition": HOSTILE}
    tree = [
        {"id": "a", "level": 1, **node},
        {"id": "b", "level": 2, "parent": "a", **node},
        {"id": HOSTILE, "level": 3, "parent": "b", "density": "text", **node},
    ]
    trees = {
        d: tree_of(d, [{k: v for k, v in n.items() if d == "capability" or k != "density"} for n in tree])
        for d in TREES
    }
    path, data = write_report(work, settings(work), trees)
    page = path.read_text()
    assert_harmless(page)
    assert page.count("<script") == 2 and "<!--" not in page
    assert data["samples"][0]["question"] == HOSTILE
    lies = page.split('id="trees">')[1].split("</script>")[0]
    assert json.loads(lies)["knowledge"]["nodes"][0][0] == HOSTILE


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_embedded_json_survives_and_holds_no_markup(data: object) -> None:
    text = make_environment().from_string("{{ data|tojson }}").render(data=data)
    assert json.loads(text) == data
    assert not set("<>&'") & set(text)


def test_names_that_are_not_utf8(work: Work) -> None:
    image = work.read_images()[0]
    name = os.fsdecode(b"caf\xe9.png")
    text = json.dumps(dataclasses.replace(image, image=name).to_json())  # as ASCII: \udce9
    work.images.write_text(text + "\n")
    page, data = report(work)
    assert data["near_duplicates"]["images"] == 1
    assert data["overview"]["unscored"] == ["caf?.png"]
    assert_harmless(page)


def test_the_papers_scale_stays_small(work: Work) -> None:
    rng = random.Random(0)
    nodes = [{"id": f"d{i}", "level": 1, "name": f"domain {i}", "definition": ""} for i in range(14)]
    nodes += [
        {"id": f"d{i % 14}.{i}", "level": 2, "parent": f"d{i % 14}", "name": f"field {i}", "definition": "x" * 80}
        for i in range(310)
    ]
    nodes += [
        {
            "id": f"t{i}",
            "level": 3,
            "parent": nodes[14 + i % 310]["id"],
            "name": f"topic {i} of {rng.random()}",
            "definition": "y",
        }
        for i in range(38_455)
    ]
    tree = tree_of("knowledge", nodes)
    path, data = write_report(work, settings(work), {**step.load_label_trees(settings(work)), "knowledge": tree})
    assert path.stat().st_size < 5_000_000
    found = data["trees"]["knowledge"]
    assert len(found["nodes"]) == len(nodes) and found["unlisted"] == 0
    assert found["coverage"]["leaves"] == found["pictureless"] == 38_455
    assert len(found["unknown"]) > 5  # the rows' labels belong to another tree, and the report says so


@given(st.permutations(range(40)), st.integers(0, 5))
def test_the_sample_does_not_depend_on_the_order(order: list[int], seed: int) -> None:
    rows = [Row(f"r{i}", ["a"], "q", "x", "answer: x", "text", "s", "c") for i in range(40)]
    whole = tally_rows(rows, sample=7, seed=seed)
    assert [r.uid for r in tally_rows([rows[i] for i in order], sample=7, seed=seed).sample] == [
        r.uid for r in whole.sample
    ]
    assert len(whole.sample) == 7


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_charts_stay_inside_their_frame(counts: list[int]) -> None:
    for chart in (
        draw_histogram("t", {"<a>": counts}, 0, 5, x="x", y="y"),
        draw_places("t", [str(i) for i in range(len(counts))], {"<a>": [Dot(c, "<a>") for c in counts]}, x="x", y="y"),
    ):
        assert "<a>" not in chart
        for tag, attributes in Elements(chart).found:
            if tag in ("rect", "circle"):
                top = float(attributes.get("y") or attributes.get("cy") or 0)
                assert -1 <= top <= 201, (tag, attributes)


def test_uniform_stays_flat_when_it_does_not_come_out_even(work: Work) -> None:
    ids = list(work.read_density())
    rows = [{"image": image, "items": 2 if i % 2 else 3, **dict.fromkeys(SUB_SCORES, 0)} for i, image in enumerate(ids)]
    files.write_table(work.budget, rows, BUDGET_COLUMNS)
    groups = report(work)[1]["budget"]["groups"]
    # The remainder goes to the first pictures of the file, whatever their density: 15 over 30 pictures.
    low, high = (sum(g["uniform"] for g in part) for part in (groups[:5], groups[5:]))
    assert low + high == 75 and abs(low - high) < 15


def test_verb(work: Work) -> None:
    made = CliRunner().invoke(
        cli.build_data_app(), ["report", "--work", str(work.folder), *[f"tree.{d}={p}" for d, p in TREES.items()]]
    )
    assert made.exit_code == 0, made.output
    assert "report.html" in made.output.replace("\n", "") and "not run yet" not in made.output
