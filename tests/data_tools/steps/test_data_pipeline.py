"""All steps together: reuse, changed settings, kill -9, own parts, the stage's process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mindgpt_data.corpus import read_corpus
from mindgpt_data.export import read_set
from mindgpt_data.io.work import Work
from mindgpt_data.schema.config import DataSettings
from mindgpt_data.steps import check, pipeline
from mindgpt_data.world.folder import write_source_corpus

from mindgpt_plugins.core.registry import load_plugins
from mindgpt_plugins.stages.base import Context
from mindgpt_plugins.stages.data.config import DataConfig
from mindgpt_plugins.stages.data.stage import DataStage


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source_corpus(tmp_path_factory.mktemp("corpus"), 24, size=128)


def settings(corpus: Path, **more: Any) -> DataSettings:
    return DataSettings.model_validate(
        {
            "images": {"path": str(corpus)},
            "density": {"estimator": "pixels"},
            "export": {"test": 0.25},
            "generate": {"adversarial": 0.1},
            **more,
        }
    )


def states(work: Work, chosen: DataSettings, **more: Any) -> dict[str, str]:
    heard: dict[str, str] = {}
    pipeline.run(work, chosen, listen=lambda step, state, summary: heard.update({step: state}), **more)
    return heard


def written(work: Work) -> dict[str, bytes]:
    return {str(p.relative_to(work.datasets)): p.read_bytes() for p in work.datasets.rglob("*") if p.is_file()}


def test_a_second_run_reuses_everything_and_a_change_runs_what_depends_on_it(corpus: Path, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    assert set(states(work, settings(corpus)).values()) == {"done"}
    train, test = (read_set(work.datasets, f"data_{split}") for split in ("train", "test"))
    assert train and test
    assert {name for row in train for name in row.image}.isdisjoint(name for row in test for name in row.image)
    assert set(states(work, settings(corpus)).values()) == {"reused"}
    changed = states(work, settings(corpus, budget={"n_max": 2}))
    assert [step for step, state in changed.items() if state == "reused"] == ["images", "density", "match"]
    work.kept.unlink()
    assert states(work, settings(corpus, budget={"n_max": 2}))["filter"] == "done"


def test_pictures_that_were_exported_below_a_corpus_are_no_new_ones(tmp_path: Path) -> None:
    manifest = write_source_corpus(tmp_path, 12, size=128)
    before = [record.image for record in read_corpus(tmp_path).records]
    work = Work(tmp_path / "any_name")
    chosen = settings(manifest)
    states(work, chosen)
    assert list(work.datasets.glob("images/*.png")) and list(work.folder.glob("adversarial/*.png"))
    assert [record.image for record in read_corpus(tmp_path).records] == before
    assert set(states(work, chosen).values()) == {"reused"}
    (tmp_path / "notes.txt").write_text("beside the manifest")
    assert set(states(work, chosen).values()) == {"reused"}


def test_requests_at_once_change_no_step_and_another_model_does(corpus: Path, tmp_path: Path) -> None:
    def printed(**endpoint: Any) -> list[str]:
        server = {"base_url": "http://127.0.0.1:1/v1", "model": "m", **endpoint}
        chosen = settings(corpus, endpoints={"teacher": [server]})
        return [pipeline.fingerprint_step(step, Work(tmp_path), chosen, 0) for step in pipeline.STEPS]

    assert printed() == printed(max_in_flight=3, timeout=9.0, api_key_env="KEY", price_in=2.0, max_attempts=2)
    assert printed() != printed(model="other")


def test_what_a_killed_export_left_goes_and_what_it_wrote_stays(corpus: Path, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    states(work, settings(corpus))
    straight = written(work)
    work.summary("export").unlink()
    left = (work.datasets / ".data_train.jsonl.999999", work.datasets / "images/0123456789abcdef.png")
    for path in (*left, work.folder / "drops/.export.jsonl.999999"):
        path.write_text("half")
    writing = work.datasets / f".data_test.json.{os.getppid()}"
    writing.write_text("a living process is at it")
    assert states(work, settings(corpus))["export"] == "done"
    writing.unlink()
    assert written(work) == straight
    assert not (work.folder / "drops/.export.jsonl.999999").exists()
    left[1].write_text("of a set that is gone, or of the user")
    states(work, settings(corpus), start="export")
    assert left[1].exists()  # the export before was not killed


def test_a_folder_that_another_process_works_in_is_left_alone(corpus: Path, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    half = work.folder / ".images.jsonl.999999"
    with work.lock():
        half.write_text("half")
        with pytest.raises(RuntimeError, match="in use by another run"):
            states(work, settings(corpus))
    assert half.exists()


@pytest.mark.parametrize("content", ["", '{"step": "im', "[]"])
def test_a_summary_that_cannot_be_read_is_named_and_its_step_runs_again(
    corpus: Path, tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Work(tmp_path / "work")
    states(work, settings(corpus), until="images")
    work.summary("images").write_text(content)
    assert states(work, settings(corpus), until="images") == {"images": "done"}
    assert f"warning: {work.summary('images')} is " in capsys.readouterr().err


def test_same_seed_same_bytes_and_another_seed_other_questions(corpus: Path, tmp_path: Path) -> None:
    made = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        work = Work(tmp_path / name)
        pipeline.run(work, settings(corpus), seed=seed)
        made.append(written(work))
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_from_and_until(corpus: Path, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    assert list(states(work, settings(corpus), until="budget")) == ["images", "density", "match", "budget"]
    again = states(work, settings(corpus), until="budget", start="match")
    assert again == {"images": "reused", "density": "reused", "match": "done", "budget": "done"}
    with pytest.raises(ValueError, match="--until filtr: there is no such step"):
        states(work, settings(corpus), until="filtr")


def test_a_gate_and_an_estimator_of_ones_own(corpus: Path, tmp_path: Path) -> None:
    own = tmp_path / "own_parts.py"
    own.write_text(
        "from mindgpt_plugins.core.registry import register\n"
        "@register('gate')\n"
        "def no_counting(item, *, word='many'):\n"
        "    return 'asks for a count' if word in item.row.question.lower() else None\n"
        "@register('estimator')\n"
        "def flat(picture, *, level=2.0):\n"
        "    return dict.fromkeys(('subjects', 'spatial', 'text', 'knowledge'), level)\n"
    )
    load_plugins([str(own)])
    chosen = settings(
        corpus,
        density={"estimator": {"name": "flat", "options": {"level": 3.0}}},
        filter={"gates": ["rules", {"name": "no_counting", "options": {"word": "how many"}}]},
    )
    check.require_valid_settings(chosen)
    work = Work(tmp_path / "work")
    pipeline.run(work, chosen, plugins=[str(own)])
    assert {scores["ids"] for scores in work.read_density().values()} == {0.6}
    assert {drop.reason for drop in work.read_drops("filter") if drop.gate == "no_counting"} == {"asks for a count"}
    assert not any("how many" in row.question.lower() for row in read_set(work.datasets, "data_train"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"density": {"estimator": "grpo"}}, "there is no estimator 'grpo'"),
        ({"filter": {"gates": ["rulez"]}}, "there is no gate 'rulez'; did you mean 'rules'"),
        ({"filter": {"gates": ["rules", {"name": "judge", "options": {"leest": 2}}]}}, "filter.gates.1: .*no option"),
        ({"generate": {"teacher": "endpoint"}}, "generate.teacher: .*add endpoints.teacher"),
        ({"filter": {"gates": ["agreement"]}}, "filter.gates: agreement: .*add endpoints.solver"),
        ({"match": {"matcher": "clip"}}, "match.clip"),
        ({"tree": {"knowledge": "no/such.yaml"}}, "no/such.yaml does not exist"),
    ],
)
def test_what_would_fail_later_is_refused_first(corpus: Path, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(check.CheckError, match=message):
        check.require_valid_settings(settings(corpus, **wrong))


def stage(corpus: Path, folder: Path) -> tuple[DataStage, DataConfig, Context]:
    folder.mkdir(parents=True)
    config = DataConfig.model_validate({"kind": "data", **settings(corpus).model_dump(mode="json")})
    return DataStage(), config, Context("data", folder, {}, 0)


def test_the_stage_as_a_process_killed_again_and_again_makes_the_same_sets(corpus: Path, tmp_path: Path) -> None:
    whole = Work(tmp_path / "whole")
    pipeline.run(whole, settings(corpus))
    made, config, context = stage(corpus, tmp_path / "stage")
    (command,) = made.render(config, context)
    for seconds in (0.6, 0.9, 1.2):
        process = subprocess.Popen([sys.executable, *command.argv], start_new_session=True)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, *command.argv], check=True)
    artefacts = made.artefacts(config, context)
    assert all(Path(path).exists() for path in artefacts.values())
    assert written(Work(context.folder / "work")) == written(whole)
    lines = [json.loads(line) for line in (context.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == lines[-1]["total"]
