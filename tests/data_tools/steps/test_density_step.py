import json
import math

import numpy as np
import pytest
from mindgpt_data.client.request import Answer
from mindgpt_data.density.calibrate import compute_quantiles
from mindgpt_data.density.compare import compare_scores
from mindgpt_data.density.judge import compute_expected_score, compute_sub_scores, judge
from mindgpt_data.density.score import Picture, compute_information_density
from mindgpt_data.io.work import Work
from mindgpt_data.schema.config import DataSettings, EndpointSettings
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_data.steps import density, images
from mindgpt_data.testing.stub import StubServer
from PIL import Image, ImageDraw, ImageFont

from mindgpt_plugins.cli import run_verb
from mindgpt_plugins.core import registry

CALLS: list[tuple[int, int]] = []


@registry.register("estimator", "by_width")
def by_width(picture: Picture, *, per: float = 100.0) -> dict[str, float]:
    """A third-party estimator."""
    CALLS.append(picture.image.size)
    if picture.image.width == 13:
        raise RuntimeError("unlucky")
    if picture.image.width == 14:
        return {"subjects": 9.0}
    return dict.fromkeys(SUB_SCORES, min(5.0, picture.image.width / per))


def corpus(folder, widths):
    folder.mkdir(exist_ok=True)
    for i, width in enumerate(widths):
        Image.new("RGB", (width, 20), (i, 90, 90)).save(folder / f"{i}.png")
    return folder


def scored(folder, work, **section):
    chosen = {"name": "by_width", "options": section.pop("options", {})}
    settings = DataSettings(images={"path": str(folder)}, density={"estimator": chosen, **section})
    images.run(Work(work), settings)
    CALLS.clear()
    return density.run(Work(work), settings)


def test_third_party_estimator_options_and_columns(tmp_path) -> None:
    summary = scored(corpus(tmp_path / "in", [100, 200, 300]), tmp_path / "work", options={"per": 200})
    table = Work(tmp_path / "work").read_density()
    assert [row["subjects"] for row in table.values()] == [0.5, 1.0, 1.5]
    assert [row["ids"] for row in table.values()] == [0.1, 0.2, 0.3]
    assert summary["images"] == 3 and list(table) == ["0.png", "1.png", "2.png"]
    with pytest.raises(registry.RegistryError, match="no option 'pre'"):
        scored(tmp_path / "in", tmp_path / "work", options={"pre": 200})


def test_what_fails_becomes_a_drop_and_costs_nothing_else(tmp_path) -> None:
    folder = corpus(tmp_path / "in", [100, 13, 14, 200])
    settings = DataSettings(images={"path": str(folder)}, density={"estimator": "by_width"})
    images.run(Work(tmp_path / "work"), settings)
    (folder / "3.png").write_bytes(b"")  # broken between the steps
    density.run(Work(tmp_path / "work"), settings)
    assert list(Work(tmp_path / "work").read_density()) == ["0.png"]
    drops = {d.key: d for d in Work(tmp_path / "work").read_drops("density")}
    assert "RuntimeError: unlucky" in drops["1.png"].detail and drops["1.png"].reason == "estimator failed"
    assert "each in [0, 5]" in drops["2.png"].detail
    assert drops["3.png"].reason == "empty file"


def test_a_killed_run_goes_on_where_it_was(tmp_path) -> None:
    folder = corpus(tmp_path / "in", [100, 200, 300])
    scored(folder, tmp_path / "work")
    first = (tmp_path / "work" / "density.parquet").read_bytes()
    kept = tmp_path / "work" / "partial" / "density.jsonl"
    lines = kept.read_bytes().splitlines(keepends=True)
    kept.write_bytes(lines[0] + lines[1][:20])  # cut inside the second line
    scored(folder, tmp_path / "work")
    assert CALLS == [(200, 20), (300, 20)]
    assert (tmp_path / "work" / "density.parquet").read_bytes() == first
    scored(folder, tmp_path / "work")
    assert CALLS == []
    scored(folder, tmp_path / "work", options={"per": 50})
    assert len(CALLS) == 3  # other options, other scores


def test_several_pictures_in_one_record_give_the_largest(tmp_path) -> None:
    corpus(tmp_path / "in", [100, 400])
    (tmp_path / "in" / "m.jsonl").write_text('{"image": ["1.png", "0.png"]}\n{"image": "0.png"}\n')
    scored(tmp_path / "in" / "m.jsonl", tmp_path / "work")
    assert [row["text"] for row in Work(tmp_path / "work").read_density().values()] == [4.0, 1.0]


def test_weights_and_calibration(tmp_path) -> None:
    folder = corpus(tmp_path / "in", [100, 300, 200, 300])
    scored(folder, tmp_path / "work", calibrate=True)
    assert [row["ids"] for row in Work(tmp_path / "work").read_density().values()] == [0.125, 0.75, 0.375, 0.75]
    assert compute_quantiles([]) == [] and compute_quantiles([7.0]) == [0.5]
    with pytest.raises(ValueError, match="density weights need"):
        scored(folder, tmp_path / "work", weights={"subjects": 1.0})


def test_nothing_scored_is_an_error(tmp_path) -> None:
    with pytest.raises(ValueError, match="no picture could be scored; first: 0.png"):
        scored(corpus(tmp_path / "in", [13]), tmp_path / "work")


def test_model_free_reads_and_masks_text() -> None:
    estimate = registry.get_registered("estimator", "model-free")
    image = Image.new("RGB", (640, 480), (235, 240, 230))
    assert compute_information_density(estimate(Picture(image))) == 0.0
    draw = ImageDraw.Draw(image)
    draw.text((60, 60), "The carburetor gasket", font=ImageFont.load_default(36), fill=(10, 10, 10))
    written = estimate(Picture(image))
    assert written["subjects"] == written["spatial"] == 0.0 and written["text"] > 0.5 and written["knowledge"] > 1.0
    draw.ellipse((100, 200, 220, 320), fill=(200, 30, 30))
    draw.rectangle((400, 220, 500, 320), fill=(30, 30, 200))
    both = estimate(Picture(image))
    assert both["subjects"] > 0 and both["spatial"] > 0 and both["text"] == pytest.approx(written["text"], abs=0.15)


def test_ocr_models_are_in_the_package_and_nothing_is_downloaded(monkeypatch) -> None:
    import socket

    from mindgpt_data.density import reading

    def refuse(*args, **options):
        raise AssertionError(f"a connection was tried: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    reading._engine.cache_clear()
    assert reading.read_text(np.full((64, 64, 3), 200, np.uint8)) == []


VERDICT = {name: {"evidence": f'"{name}" is "score": 4', "score": i + 1} for i, name in enumerate(SUB_SCORES)}


def tokens(text: str) -> list[dict]:
    """One token per character; grades are torn between the grade and the next one, 3 : 1."""
    return [
        {"token": c, "logprob": math.log(0.75), "top": {c: math.log(0.75), str(int(c) + 1): math.log(0.25), "x": -9.0}}
        if c in "12345"
        else {"token": c, "logprob": 0.0, "top": {c: 0.0}}
        for c in text
    ]


def test_expected_score_is_taken_at_the_grade_of_its_dimension() -> None:
    text = json.dumps(VERDICT)
    found = [compute_expected_score(tokens(text), name) for name in SUB_SCORES]
    assert found == pytest.approx([1.25, 2.25, 3.25, 4.25])
    assert compute_expected_score(tokens('{"subjects": {}}'), "subjects") is None
    merged = [{"token": '{"text": {"score":', "logprob": 0, "top": {}}, {"token": " 2", "logprob": -0.1, "top": {}}]
    assert compute_expected_score(merged, "text") == pytest.approx(2.0)


def test_scores_are_means_over_valid_samples() -> None:
    low, high = (json.dumps({n: {"evidence": "", "score": s} for n in SUB_SCORES}) for s in (1, 4))
    assert compute_sub_scores(Answer((low, high, "no JSON"))) == dict.fromkeys(SUB_SCORES, 2.5)
    with pytest.raises(ValueError, match="Verdict"):
        compute_sub_scores(Answer(("no JSON",)))


def judged(folder, work, server, **endpoint):
    settings = DataSettings(
        images={"path": str(folder)},
        density={"estimator": "judge"},
        endpoints={"judge": [{"base_url": server.url, "model": "m", **endpoint}]},
    )
    images.run(Work(work), settings)
    return density.run(Work(work), settings)


def test_judge_through_a_server(tmp_path) -> None:
    folder = corpus(tmp_path / "in", [100, 200, 300])
    with StubServer(reply=lambda body: json.dumps(VERDICT), keep=True) as server:
        judged(folder, tmp_path / "work", server)
        first = Work(tmp_path / "work").read_density()
        assert first["1.png"] == {"subjects": 1, "spatial": 2, "text": 3, "knowledge": 4, "ids": 0.5}
        assert server.requests == 3 and server.bodies[0]["n"] == 3
        judged(folder, tmp_path / "work", server)
        assert server.requests == 3  # paid for once


def test_judge_takes_expectations_when_the_server_returns_logprobs(tmp_path) -> None:
    text = json.dumps(VERDICT)
    content = [{**t, "top_logprobs": [{"token": k, "logprob": v} for k, v in t["top"].items()]} for t in tokens(text)]
    reply = {"message": {"role": "assistant", "content": text}, "logprobs": {"content": content}}
    with StubServer(reply=lambda body: reply) as server:
        judged(corpus(tmp_path / "in", [100]), tmp_path / "work", server, logprobs=True)
        assert Work(tmp_path / "work").read_density()["0.png"]["text"] == pytest.approx(3.25)
        endpoint = EndpointSettings(base_url=server.url, model="m", logprobs=True).model_dump()
        one = judge(Picture(Image.new("RGB", (9, 9))), endpoints=[endpoint])
        assert one["subjects"] == pytest.approx(1.25)


def test_judge_without_a_valid_answer_is_a_drop(tmp_path) -> None:
    with (
        StubServer(reply=lambda body: "no JSON") as server,
        pytest.raises(ValueError, match="the judge gave no usable answer"),
    ):
        judged(corpus(tmp_path / "in", [100]), tmp_path / "work", server, max_attempts=2)


def test_compare() -> None:
    first = {str(i): {**dict.fromkeys(SUB_SCORES, float(i)), "ids": i / 5} for i in range(5)}
    second = {k: {**v, "text": 5 - v["text"], "knowledge": 1.0} for k, v in first.items()}
    second["2"] = {**second["2"], "ids": 1.0}
    found = compare_scores(first, {**second, "other": second["0"]})
    assert found.images == 5 and found.spearman["subjects"] == pytest.approx(1.0)
    assert found.spearman["text"] == pytest.approx(-1.0) and found.spearman["knowledge"] is None
    assert found.apart[0] == ("2", 0.4, 1.0)
    with pytest.raises(ValueError, match="only 0 pictures"):
        compare_scores({}, second)


def cli(capsys, *arguments: object) -> str:
    with pytest.raises(SystemExit) as stopped:
        main_with(["data", "density", *map(str, arguments)])
    captured = capsys.readouterr()
    return f"{stopped.value.code or 0} {captured.out}{captured.err}"


def main_with(arguments: list[str]) -> None:
    import sys

    sys.argv = ["mindgpt", *arguments]
    raise SystemExit(run_verb())


def test_verb_works_on_a_folder_alone(tmp_path, capsys, monkeypatch) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr("sys.argv", ["mindgpt"])
    folder = corpus(tmp_path / "in", [100, 200, 300])
    out = tmp_path / "d.parquet"
    assert cli(capsys, folder, "--estimator", "by_width", "--out", out, "density.estimator.options.per=50").startswith(
        "0"
    )
    table = pq.read_table(out)
    assert table.column_names == ["image", *SUB_SCORES, "ids"]
    assert table["subjects"].to_pylist() == [2.0, 4.0, 5.0]
    assert "written" in cli(capsys, "--work", f"{out}.work", "--estimator", "by_width")
    compared = cli(capsys, folder, "--compare", "by_width,pixels", "--out", tmp_path / "c.json")
    assert compared.startswith("0") and json.loads((tmp_path / "c.json").read_text())["images"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("in",), "say where the result goes"),
        (("in", "in", "--out", "o.parquet"), "give one corpus"),
        (("--work", "none"), "name a corpus"),
        (("in", "--out", "o.parquet", "--estimator", "model_free"), "did you mean 'model-free'"),
        (("in", "--out", "o.json", "--compare", "pixels"), "needs two estimators"),
        (("in", "--out", "o.parquet", "--estimator", "judge"), "add endpoints.judge"),
    ],
)
def test_verb_says_what_is_wrong(tmp_path, capsys, monkeypatch, arguments, message) -> None:
    monkeypatch.setattr("sys.argv", ["mindgpt"])
    monkeypatch.chdir(tmp_path)
    corpus(tmp_path / "in", [100])
    found = cli(capsys, *arguments)
    assert found.startswith("2") and message in " ".join(found.split())
