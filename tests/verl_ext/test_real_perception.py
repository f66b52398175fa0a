"""The masked-picture pass and adversarial twins in real verl on CPU. Minutes; run with ``-m slow``."""

from pathlib import Path

import pytest
from real_verl import lines, run, stage

pytest.importorskip("transfer_queue")
pytest.importorskip("qwen_vl_utils")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
TIMED = ("seconds", "perf", "timing", "actor/perf")
ADDED = ("perception/", "advantage/alpha_", "advantage/share/alpha")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """Twelve questions about a coloured square, four of them with a blank twin, and a tiny model."""
    from mindgpt_data.export import write_set
    from mindgpt_data.schema.rows import Row
    from PIL import Image, ImageDraw

    from mindgpt_plugins.stages.model.config import ModelConfig
    from mindgpt_plugins.stages.model.run import build_model

    root = tmp_path_factory.mktemp("pairs")
    images = root / "data" / "images"
    images.mkdir(parents=True)
    rows = []
    for i in range(12):
        colour = ("red", "green", "blue", "yellow")[i % 4]
        picture = Image.new("RGB", (96, 96), (40 + 15 * i,) * 3)
        ImageDraw.Draw(picture).rectangle((32 * (i % 3), 32, 32 * (i % 3) + 31, 63), fill=colour)
        picture.save(images / f"{i}.png")
        common = {"question": "what colour is it?", "answer_type": "text", "source": "a", "difficulty": i / 12}
        rows.append(
            Row(
                uid=f"r{i}", image=[f"images/{i}.png"], answer=colour, response=f"answer: {colour}",
                capability="perception.colour", **common,
            )
        )  # fmt: skip
        if i % 3 == 0:
            Image.new("RGB", (96, 96), (90,) * 3).save(images / f"blank{i}.png")
            gold = "unanswerable: the picture is blank"
            rows.append(
                Row(
                    uid=f"blank-{i}", image=[f"images/blank{i}.png"], answer=gold, response=f"answer: {gold}",
                    capability="perception.colour", type="adversarial", twin_uid=f"r{i}", **common,
                )
            )  # fmt: skip
    write_set(rows, root / "data", "train")
    sizes = ModelConfig(kind="model", tokenizer_from=["data/train"], hidden_size=64, layers=2, vision_layers=2)
    build_model(sizes, [row.question + " " + row.response for row in rows], root / "model", 0, 32 * 32, 96 * 96)
    return root


def start(folder: Path, pairs: Path, spread: str, **changes) -> tuple[list[dict], list[list[dict]], bytes]:
    """Metrics, rollout dumps and final weights of a run over the whole set."""
    metrics = run(folder, stage(pairs, steps=4, save_every=4, **changes), (spread,))
    dumps = [lines(folder / "rollouts" / f"{step}.jsonl") for step in range(1, 5)]
    model = folder / "checkpoints/global_step_4/actor/huggingface/model.safetensors"
    return metrics, dumps, model.read_bytes()


def untimed(line: dict) -> dict:
    return {k: v for k, v in line.items() if not k.startswith((*TIMED, *ADDED))}


def test_the_pass_weighs_replies_and_touches_nothing_else(pairs: Path, tmp_path: Path, spread: str):
    plain, dumps, weights = start(tmp_path / "plain", pairs, spread)
    assert not any(name.startswith("perception/") for name in plain[0])
    assert all(row["alpha"] == 1.0 for dump in dumps for row in dump)
    for dump in dumps:  # twins come together
        present = {row["row"] for row in dump}
        assert all(f"r{name.removeprefix('blank-')}" in present for name in present if name.startswith("blank-"))
    assert sorted({row["row"] for dump in dumps for row in dump if row["type"] == "adversarial"}) == sorted(
        f"blank-{i}" for i in (0, 3, 6, 9)
    )

    # The pass runs and its result is not used: every figure and every weight is the same to the last bit.
    unused = {"weight": False, "token_share": 1.0}
    measured, _, same = start(tmp_path / "measured", pairs, spread, perception=unused)
    assert [untimed(line) for line in measured] == [untimed(line) for line in plain]
    assert same == weights
    assert all(line["perception/D_mean"] > 0 for line in measured)

    used, dumps, other = start(
        tmp_path / "used", pairs, spread, perception={"token_share": 0.4, "papo": {"weight": 0.01}}
    )
    assert other != weights
    for line, dump in zip(used, dumps, strict=True):
        alpha = [row["alpha"] for row in dump]
        assert sum(alpha) / len(alpha) == pytest.approx(1.0, abs=1e-9)
        assert max(alpha) > 1.0 > min(alpha) >= 0.9
        assert all((row["dependence"] is None) == (row["type"] == "adversarial") for row in dump)
        assert all(row["alpha"] == 1.0 for row in dump if row["type"] == "adversarial")
        assert line["perception/measured"] == sum(row["type"] != "adversarial" for row in dump) / len(dump)
        assert line["advantage/alpha_max"] == pytest.approx(max(alpha))
        assert 0.35 < line["perception/tokens_kept"] < 0.6  # of short replies, rounded up
        assert line["perception/papo_abs_mean"] > 0
        assert line["perception/seconds"] > 0
    # The first step's replies are the plain run's: only what is made of them differs.
    assert untimed(used[0])["score/mean"] == plain[0]["score/mean"]
    assert untimed(used[0])["actor/entropy"] == plain[0]["actor/entropy"]
    print({k: v for k, v in used[0].items() if k.startswith(("perception", "advantage/alpha", "seconds"))})


def test_two_ranks_and_the_rollout_engines_log_probs(pairs: Path, tmp_path: Path, spread: str):
    """Bypass mode: π_old is the rollout engine's, so the trainer scores both pictures."""
    changes = {
        "workers": 2, "micro_batch": 4, "steps": 2, "save_every": 2, "perception": {},
        "verl": {
            "algorithm": {"rollout_correction": {"bypass_mode": True}},
            "actor_rollout_ref": {"rollout": {"calculate_log_probs": True}},
        },
    }  # fmt: skip
    metrics = run(tmp_path / "bypass", stage(pairs, **changes), (spread,))
    for step, line in enumerate(metrics, start=1):
        dump = lines(tmp_path / "bypass" / "rollouts" / f"{step}.jsonl")
        assert sum(row["alpha"] for row in dump) / len(dump) == pytest.approx(1.0, abs=1e-9)
        assert {row["dependence"] is None for row in dump if row["type"] == "adversarial"} <= {True}
        assert all(0 < row["dependence"] < 1 for row in dump if row["type"] != "adversarial")
        assert line["perception/D_max"] > line["perception/D_min"]
