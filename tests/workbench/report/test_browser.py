from __future__ import annotations

import base64
import gzip
import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import synthetic
from PIL import Image
from support import chromium

from mindgpt_plugins.workbench.report import browser, build_report, thumbnails
from mindgpt_plugins.workbench.report.run import load_run

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def line(group: str, session: int, score: float, advantage: float, **more: Any) -> dict[str, Any]:
    return {
        "input": f"question of {group}", "output": f"answer: {session}", "gts": "7", "score": score, "step": 1,
        "row": f"row-{group}", "source": "charts", "type": "verifiable", "image": [], "group": group,
        "labels": {"knowledge": "vehicles.air.rocket", "capability": "knowledge.travel"}, "session": session,
        "advantage": advantage, "tokens": 4, "components": {"accuracy": score}, "log": {},
    } | more  # fmt: skip


def pair(group: str, first: tuple[float, float], second: tuple[float, float], **more: Any) -> list[dict[str, Any]]:
    return [line(group, 0, *first, **more), line(group, 1, *second, **more)]


LINES = [
    *pair("mixed", (1.0, 0.5), (0.0, -0.5)),
    *pair("turned", (1.0, -0.1), (0.0, 0.1)),
    *pair("tied", (1.0, 0.0), (0.0, 0.0)),
    *pair("right", (1.0, 0.1), (1.0, -0.1)),
    *pair("wrong", (0.0, 0.0), (0.0, 0.0)),
    *pair("dropped", (1.0, 0.0), (0.0, 0.0), dropped=True, alpha=1.25),
    *pair("refused", (0.0, 0.0), (0.0, 0.0), output="i cannot tell. answer: unanswerable: it is covered"),
    *pair("hostile", (1.0, 0.9), (0.0, -0.9), output=HOSTILE, input=HOSTILE, log={"judge.raw": float("nan")}),
]


def written(root: Path, lines: list[dict[str, Any]]) -> Path:
    run = synthetic.make(root, per_task=20)
    folder = next(root.glob("stages/rl-*")) / "rollouts"
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "1.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return run


def unpacked(text: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    def data(packed: str) -> Any:
        return json.loads(gzip.decompress(base64.b64decode(packed)), parse_constant=lambda _: pytest.fail("no JSON"))

    found = re.search(r'id="index">([^<]*)<', text)
    assert found
    return data(found[1]), [g for packed in re.findall(r'class="chunk">([^<]*)<', text) for g in data(packed)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = written(tmp_path_factory.mktemp("browser"), LINES)
    build_report(run)
    return run / "rollouts.html"


def test_every_group_of_the_run_is_in_the_page_with_its_picture_once(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, per_task=20)
    build_report(run)
    text = (run / "rollouts.html").read_text()
    index, groups = unpacked(text)
    assert len(index["groups"]) == len(groups) == 180 and index["stages"] == ["rl"]
    dumped = [
        json.loads(row)
        for p in tmp_path.glob("stages/rl-*/rollouts/*.jsonl")
        for row in p.read_text().split("\n")
        if row
    ]
    assert sorted(r["reply"] for g in groups for r in g["replies"]) == sorted(row["output"] for row in dumped)
    assert {len(entry[8]) for entry in index["groups"]} == {8}
    places = {entry[13][0] for entry in index["groups"]}
    pictures = re.findall(r'class="picture">([^<]*)<', text)
    assert places == set(range(len(pictures))) and len(set(pictures)) == len(pictures) <= 24
    assert 'href="rollouts.html"' in (run / "report.html").read_text()


def test_flags_say_what_happened_to_a_group(page: Path) -> None:
    index, _ = unpacked(page.read_text())
    flags = {entry[2]: entry[7] for entry in index["groups"]}
    assert flags["mixed"] == browser.MIXED
    assert flags["turned"] == browser.MIXED | browser.VIOLATION | browser.PUSHED_DOWN
    assert flags["tied"] == browser.MIXED | browser.VIOLATION  # as the trainer's advantage/order_violations
    assert flags["right"] == browser.ALL_CORRECT | browser.PUSHED_DOWN
    assert flags["wrong"] == browser.ALL_WRONG
    assert flags["dropped"] == browser.MIXED | browser.DROPPED
    assert flags["refused"] == browser.ALL_WRONG | browser.REFUSAL


def test_a_group_keeps_alpha_and_dropped(page: Path) -> None:
    index, groups = unpacked(page.read_text())
    place = [entry[2] for entry in index["groups"]].index("dropped")
    assert [(r["alpha"], r["dropped"]) for r in groups[place]["replies"]] == [(1.25, True)] * 2
    assert "alpha" not in groups[0]["replies"][0]


def test_hostile_text_is_data_only(page: Path) -> None:
    text = page.read_text()
    assert "onerror" not in text and "owned" not in text
    assert any(g["prompt"] == HOSTILE for g in unpacked(text)[1])


def test_a_run_without_rollouts_has_no_browser(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, per_task=20, until="align")
    build_report(run)
    assert not (run / "rollouts.html").exists() and 'href="rollouts.html"' not in (run / "report.html").read_text()


def test_a_very_long_run_keeps_whole_steps_evenly_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "MOST", 500)  # of 60 steps with 24 replies
    index, groups = unpacked(browser.render_browser_page(load_run(synthetic.make(tmp_path, per_task=20))) or "")
    assert sorted({entry[1] for entry in index["groups"]}) == list(range(1, 61, 3)) and len(groups) == 60
    assert "rl: one step in 3 is here" in index["notes"][0]


def test_pictures_are_scaled_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for i in range(4):
        Image.effect_noise((900, 300 + i), 80).save(tmp_path / f"{i}.jpg")
        paths.append(str(tmp_path / f"{i}.jpg"))
    (tmp_path / "no.png").write_text("not a picture")
    named = [*paths, *paths, str(tmp_path / "no.png"), str(tmp_path / "gone.png"), "nowhere.png"]
    made = thumbnails.embed_thumbnails(named, [tmp_path])
    assert (len(made.data), made.missing, made.beyond, made.outside) == (4, 3, 0, 0)
    kind, _, raw = made.data[0].partition(",")
    (tmp_path / "thumb").write_bytes(base64.b64decode(raw))
    with Image.open(tmp_path / "thumb") as shown:
        assert kind == "data:image/webp;base64" and max(shown.size) == 256
    monkeypatch.setattr(thumbnails, "LARGEST", 10)
    monkeypatch.setattr(thumbnails, "BATCH", 2)
    assert thumbnails.embed_thumbnails(paths, [tmp_path]).beyond == 2
    assert thumbnails.embed_thumbnails(paths, [tmp_path], largest=0).beyond == 2


def noisy(steps: int, groups: int, size: int) -> Iterator[dict[str, Any]]:
    """Replies that hardly compress."""
    rng = random.Random(0)
    for step in range(1, steps + 1):
        for group in range(groups):
            for session in range(size):
                text = base64.b64encode(rng.randbytes(60)).decode()
                yield line(f"s{step}g{group}", session, session % 2, 0.5 - session % 2, step=step, output=text)


def test_long_replies_leave_steps_out_until_the_page_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(written(tmp_path, [*noisy(16, 40, 2)]))
    whole = browser.render_browser_page(run) or ""
    monkeypatch.setattr(browser, "LARGEST_TEXT", 60_000)
    text = browser.render_browser_page(run) or ""
    packed = [len(chunk) for chunk in re.findall(r'class="chunk">([^<]*)<', text)]
    assert sum(packed) < 60_000 + max(packed) and len(text) < len(whole)
    index, groups = unpacked(text)
    steps = sorted({entry[1] for entry in index["groups"]})
    assert steps == list(range(1, 17, steps[1] - 1)) and len(steps) > 1 and len(groups) == 40 * len(steps)
    assert any("one step in" in note for note in index["notes"])


def test_a_step_that_has_no_room_is_cut_and_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "LARGEST_TEXT", 10_000)
    index, groups = unpacked(browser.render_browser_page(load_run(written(tmp_path, [*noisy(1, 200, 2)]))) or "")
    assert len(groups) == len(index["groups"]) < 200
    assert f"only the first {2 * len(groups)} replies" in " ".join(index["notes"])


def test_the_whole_page_stays_below_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = synthetic.make(tmp_path, per_task=20)
    text = browser.render_browser_page(load_run(run)) or ""
    monkeypatch.setattr(browser, "LARGEST", sum(map(len, re.findall(r'class="chunk">([^<]*)<', text))) + 1000)
    monkeypatch.setattr(thumbnails, "BATCH", 1)
    text = browser.render_browser_page(load_run(run)) or ""
    assert "pictures are named only" in " ".join(unpacked(text)[0]["notes"])


def test_pictures_outside_the_sets_folders_are_named_and_can_be_listed(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "private.png")
    outside = str(tmp_path / "private.png")
    names = [outside, "../../../../private.png"]
    lines = [one for name in names for one in pair(f"of {len(name)}", (1.0, 0.5), (0.0, -0.5), image=[name])]
    run = written(tmp_path / "runs", lines)
    build_report(run)
    index, _ = unpacked((run / "rollouts.html").read_text())
    assert {entry[13][0] for entry in index["groups"]} == {"private.png"} and "outside" in " ".join(index["notes"])
    assert "private.png lies outside the set" in (run / "report.html").read_text()
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "pictures": [str(tmp_path)]}))
    build_report(run)
    index, _ = unpacked((run / "rollouts.html").read_text())
    assert {entry[13][0] for entry in index["groups"]} == {0, 1} and index["notes"] == []
    assert "private.png" not in (run / "report.html").read_text()


@chromium.needed
def test_twenty_thousand_rollouts_make_no_more_nodes_than_a_few(tmp_path: Path) -> None:
    made = {}
    for groups in (100, 2500):
        run = written(tmp_path / str(groups), [*noisy(1, groups, 8)])
        page = tmp_path / f"{groups}.html"
        page.write_text(browser.render_browser_page(load_run(run)) or "")
        text = chromium.open_page(page, tmp_path / f"profile{groups}")
        assert f"{groups} of {groups} groups, {8 * groups} replies" in text
        made[groups] = len(re.findall(r"<[a-z]", text.partition("<main>")[2].partition("</main>")[0]))
    assert made[2500] == made[100] < 1500
    assert page.stat().st_size < 50_000_000


def test_every_rl_stage_is_there(tmp_path: Path) -> None:
    run = synthetic.make(tmp_path, per_task=20)
    manifest = json.loads((run / "manifest.json").read_text())
    first = next(entry for entry in manifest["stages"] if entry["name"] == "rl")
    manifest["stages"].append(first | {"name": "later"})
    (run / "manifest.json").write_text(json.dumps(manifest))
    index, groups = unpacked(browser.render_browser_page(load_run(run)) or "")
    assert index["stages"] == ["rl", "later"] and [entry[0] for entry in index["groups"]] == [0] * 180 + [1] * 180


@chromium.needed
@pytest.mark.parametrize(
    ("anchor", "status", "wanted"),
    [
        ("show=violation&sort=spread", "2 of 8 groups, 4 replies", "question of turned"),
        ("knowledge=vehicles.air&q=cannot+TELL", "1 of 8 groups, 2 replies", "<mark>cannot tell</mark>"),
        ("at=rl/dropped", "8 of 8 groups, 16 replies", "<dt>α</dt><dd>1.25</dd>"),
        ("q=onerror", "1 of 8 groups, 2 replies", "&lt;/script&gt;"),
        ("source=nowhere", "0 of 8 groups, 0 replies", "No group fits"),
    ],
)
def test_the_address_sets_the_filters(page: Path, tmp_path: Path, anchor: str, status: str, wanted: str) -> None:
    text = chromium.open_page(page, tmp_path, anchor)
    body = text.partition("<main>")[2].partition("</main>")[0]
    assert status in text and wanted in body
    assert "<title>quickstart · rollouts</title>" in text  # nothing hostile ran
