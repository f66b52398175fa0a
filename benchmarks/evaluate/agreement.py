"""The same model on the same rows: EvalScope with vLLM, EvalScope with our Hugging Face engine, our `evaluate` stage.

    python benchmarks/evaluate/agreement.py runs/quickstart --stage align \
        --harness env/evalscope/bin/python --vllm env/vllm/bin/python

Rows are questions of the run's test set about rendered pictures, written in the formats of OCRBench (which asks a
question as it is, so that a model without instructions can answer), MMStar and POPE. Writes
benchmarks/results/evaluate_agreement.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/benchmark"))

from benchmark_formats import items, write  # noqa: E402
from mindgpt_data.export import read_set, write_set  # noqa: E402

from mindgpt_plugins.core import folders  # noqa: E402
from mindgpt_plugins.core.files import read_json  # noqa: E402

BENCHMARKS = ("ocrbench", "mmstar", "pope")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="finished run folder")
    parser.add_argument("--stage", default="align")
    parser.add_argument("--harness", required=True, help="interpreter with EvalScope")
    parser.add_argument("--vllm", required=True, help="interpreter with vLLM")
    parser.add_argument("--rows", type=int, default=275)
    parser.add_argument("--work", type=Path, default=Path("runs/agreement"))
    asked = parser.parse_args()
    own = make_sets(Path(asked.run), asked.work, asked.rows)
    data = [f"--data={name}={asked.work / name}" for name in BENCHMARKS]
    command = [sys.executable, "-m", "mindgpt_plugins.cli", "evaluate", asked.run, "--stage", asked.stage]
    command += ["--harness", asked.harness, "--benchmarks", ",".join(BENCHMARKS), *data, "--max-new-tokens", "32"]
    command += ["--runs", str(asked.work / "runs")]
    found, seconds = {}, {}
    for engine, more in (
        ("hf", ["--engine", "hf", "--sets", str(own)]),
        ("vllm", ["--engine", "vllm", "--engine-python", asked.vllm]),
    ):
        started = time.monotonic()
        subprocess.run([*command, *more], check=True)
        seconds[engine] = time.monotonic() - started
        run = folders.find_run(asked.work / "runs", f"evaluate-{asked.stage}")
        found[engine] = {s["name"]: Path(s["folder"]) for s in read_json(run / "manifest.json")["stages"]}
    target = ROOT / "benchmarks/results/evaluate_agreement.md"
    target.write_text(page(asked, found, seconds, own))
    print(target)


def make_sets(run: Path, work: Path, rows: int) -> Path:
    """Write the benchmarks and a set of ours with the same questions; returns ``folder/set``."""
    stages = read_json(run / "manifest.json")["stages"]
    folder = (
        Path(next(s["folder"] for s in stages if (Path(s["folder"]) / "datasets/test.jsonl").is_file())) / "datasets"
    )
    chosen = [row for row in read_set(folder, "test") if len(row.image) == 1]
    chosen = chosen[:: max(1, len(chosen) // rows)][:rows]
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    (work / "images").unlink(missing_ok=True)
    (work / "images").symlink_to(folder / "images")
    write_set(chosen, work, "same")
    for name in BENCHMARKS:
        write(name, items(work, "same"), work / name)
    return work / "same"


def lines(path: Path) -> list[dict[str, Any]]:
    """Predictions or rows; white space around a reply, which only our engine strips, is no difference."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [{**one, "reply": one["reply"].strip()} if "reply" in one else one for one in found]


def same(pairs: list[tuple[dict[str, Any], dict[str, Any]]], key: str) -> int:
    return sum(a[key] == b[key] for a, b in pairs)


def engines(found: dict[str, dict[str, Path]]) -> list[str]:
    """Table: our engine and vLLM behind the same harness."""
    table = ["| benchmark | rows | right, HF | right, vLLM | same judgement | same reply | blank: same judgement |"]
    table += ["|---|---|---|---|---|---|---|"]
    sides = [lines(stages["benchmarks"] / "predictions.jsonl") for stages in found.values()]
    for name in BENCHMARKS:
        hf, vllm = ([p for p in side if p["set"] == name] for side in sides)
        assert [p["uid"] for p in hf] == [p["uid"] for p in vllm]
        pairs = list(zip(hf, vllm, strict=True))
        right = [sum(p["correct"] for p in side) for side in (hf, vllm)]
        figures = [len(pairs), *right, *(same(pairs, key) for key in ("correct", "reply", "blank_correct"))]
        table.append(f"| {name} | {' | '.join(map(str, figures))} |")
    return table


def own_stage(found: dict[str, dict[str, Path]], own: Path) -> list[str]:
    """Lines: our own stage and OCRBench on the same rows with the same engine."""
    mine = {p["uid"]: p for p in lines(found["hf"]["sets"] / "predictions.jsonl")}
    order = [row["uid"] for row in lines(own.with_name("same.jsonl"))]
    asked = lines(found["hf"]["benchmarks"] / "predictions.jsonl")
    through = {number(p["uid"]): p for p in asked if p["set"] == "ocrbench"}
    pairs = [(mine[uid], through[at]) for at, uid in enumerate(order)]
    right = [sum(pair[side]["correct"] for pair in pairs) for side in (0, 1)]
    odd = [pair for pair in pairs if pair[0]["correct"] != pair[1]["correct"]]
    return [
        f"Of {len(pairs)} rows, {same(pairs, 'reply')} replies and {same(pairs, 'correct')} judgements are the same; "
        f"right: ours {right[0]}, OCRBench {right[1]}.",
        "OCRBench counts a reply that contains the answer, we the whole answer.",
        *(f"* `{a['reply']}`: ours {a['correct']}, OCRBench {b['correct']}" for a, b in odd),
    ]


def said(python: str, code: str) -> str:
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip().rpartition("\n")[2]


def page(asked: Any, found: dict[str, dict[str, Path]], seconds: dict[str, float], own: Path) -> str:
    command = f"{Path(asked.run).name} --stage {asked.stage} --rows {asked.rows} --harness … --vllm …"
    harness = said(asked.harness, "import importlib.metadata as m; print(m.version('evalscope'))")
    vllm = said(asked.vllm, "import vllm; print(vllm.__version__)")
    return f"""# One model, three ways to the same replies

Machine: {platform.system()}, {platform.machine()}, CPU. EvalScope {harness}, vLLM {vllm}, transformers
{version("transformers")}, torch {version("torch")}.
Command: `python benchmarks/evaluate/agreement.py {command}`

## EvalScope: our Hugging Face engine and vLLM's CPU server

Every row asked with its picture and with a grey one, greedily, at most 32 tokens, in float32. Only OCRBench asks in
words that this tiny model knows; its replies to the other two parse nowhere, so those compare the engines on noise.

{chr(10).join(engines(found))}

Seconds with the start of the server: Hugging Face {seconds["hf"]:.0f} (our own stage on the same rows included), vLLM
{seconds["vllm"]:.0f}, on a machine that was busy with other things.

## EvalScope's OCRBench and our `evaluate` stage, Hugging Face both times

{chr(10).join(own_stage(found, own))}
"""


def number(uid: str) -> int:
    """Which row of ours an OCRBench row is: its two question types take turns."""
    subset, _, index = uid.rpartition(":")
    return 2 * int(index) + int(not subset.startswith("Scene"))


if __name__ == "__main__":
    main()
