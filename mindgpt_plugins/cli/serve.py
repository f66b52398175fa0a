"""``mindgpt serve``: vLLM's OpenAI server for a run's model, with a smoke request and a small load test."""

from __future__ import annotations

import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindgpt_plugins.cli.options import RunsOption

if TYPE_CHECKING:
    from mindgpt_plugins.workbench.serve.probe import ProbeQuestion


def add(app: typer.Typer) -> None:
    """Register the verb."""
    app.command("serve", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve)


def serve(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="Run folder, a recipe's name (its latest run), or a model folder.")],
    stage: Annotated[str | None, typer.Option(help="Whose model; default: the last stage that has one.")] = None,
    python: Annotated[str | None, typer.Option(help="Interpreter with vLLM; default: the current one.")] = None,
    port: Annotated[int, typer.Option(help="On 127.0.0.1 unless you pass --host.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    images: Annotated[int, typer.Option(min=1, help="Images per request at most.")] = 4,
    max_model_len: Annotated[int | None, typer.Option(help="Longest prompt and reply, tokens.")] = None,
    requests: Annotated[int, typer.Option("--load", min=0, help="Requests of the load test; 0: none.")] = 32,
    at_once: Annotated[int, typer.Option(min=1, help="Requests in flight during the load test.")] = 8,
    check: Annotated[bool, typer.Option("--check", help="Stop after the smoke request and the load test.")] = False,
    runs: RunsOption = Path("runs"),
) -> None:
    """Serve a run's model, quantised or not, over vLLM's OpenAI-compatible API.

    Starts the server with settings that fit the run (image sizes, prefix caching, image limit), asks one question with
    a picture, measures latency and tokens per second, then serves until Ctrl-C. Everything it does not know goes to
    vLLM's server as it is, e.g. --tensor-parallel-size 2, or speculative decoding without a draft model:
    --speculative-config '{"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 3}'.

    Example: mindgpt serve quickstart --python env/vllm/bin/python --check
    """
    from mindgpt_plugins.core import files
    from mindgpt_plugins.core.console import make_console
    from mindgpt_plugins.generation.vllm_server import Server, VllmServerSettings, build_vllm_command
    from mindgpt_plugins.workbench.serve.checks import check_server_settings
    from mindgpt_plugins.workbench.serve.probe import ask_question, read_drafted_tokens, run_load_test

    console = make_console()
    model, settings, questions = _what(run, stage, runs)
    served = VllmServerSettings(
        model=model,
        name=stage or model.parent.name,
        python=python or sys.executable,
        port=port,
        host=host,
        images=images,
        max_model_len=max_model_len,
        more=tuple(context.args),
        **settings,
    )
    folder = Path(runs) / "serve" / f"{served.name}-{port}"
    console.print(f"model: {model}", soft_wrap=True, markup=False)
    check_server_settings(served)
    console.print(" ".join(build_vllm_command(served)), style="dim", soft_wrap=True, markup=False)
    with Server(served, folder.resolve()) as server:
        with console.status("starting") as status:
            seconds = server.wait_until_ready(tick=lambda passed: status.update(f"starting, {passed:.0f} s"))
        console.print("ready", style="green", end=" ")
        console.print(f"after {seconds:.0f} s: {served.url}/v1, model name {served.name!r}", markup=False)

        def send(question: ProbeQuestion) -> Any:
            return ask_question(served.url, served.name, question)

        first = send(questions[0])
        console.print(
            f"asked {questions[0].text!r} about {len(questions[0].images)} picture(s): {first.text!r}", markup=False
        )
        record: dict[str, Any] = {"model": str(model), "ready_seconds": seconds, "reply": first.text}
        if requests:
            with console.status("load test"):
                record["load"] = run_load_test(send, questions, requests=requests, at_once=at_once)
            _show(console, record["load"])
        speculated = read_drafted_tokens(served.url)
        if speculated is not None:
            record["speculative"] = speculated
            console.print("speculative decoding: {accepted} of {drafted} drafted tokens accepted".format(**speculated))
        files.write_json(folder / "serve.json", record)
        if not check:
            console.print(
                "Chat pages for OpenAI-compatible servers (Open WebUI, LibreChat, …) take this address. Ctrl-C stops."
            )
            while server.running():
                time.sleep(0.5)
            raise RuntimeError(f"the server ended. {server.log_end()}")


def _what(run: str, stage: str | None, runs: Path) -> tuple[Path, dict[str, Any], list[ProbeQuestion]]:
    """Model folder, settings that follow from the run, and questions to ask it."""
    from mindgpt_plugins.core import device, folders, state
    from mindgpt_plugins.core.errors import StageError

    cpu = {"cpu": device.resolve_device("auto") == "cpu"}
    if (Path(run) / "config.json").is_file():
        return Path(run).resolve(), cpu, [_drawn(runs)]
    found = folders.find_run(runs, run)
    done = {s["name"]: Path(s["folder"]) for s in state.read_manifest(found)["stages"]}
    models = {
        name: folder
        for name, folder in done.items()
        if folders.is_stage_done(folder) and "model" in folders.list_artefacts(folder)
    }
    if not models or (stage is not None and stage not in models):
        what = f"no finished stage {stage or 'with a model'}; it has: {', '.join(models) or 'none'}"
        raise StageError(f"{found} has {what}")
    name = stage or list(models)[-1]
    record = state.read_stage_record(models[name])
    as_trained = {**record["image"], "thinking": record.get("thinking", "model")}
    return Path(folders.require_artefact(models[name], "model")), cpu | as_trained, _questions(done, runs)


def _questions(done: dict[str, Path], runs: Path) -> list[ProbeQuestion]:
    """Questions of the run's newest evaluated set; a drawn picture when there is none."""
    from mindgpt_plugins.core.files import read_json, read_jsonl
    from mindgpt_plugins.workbench.serve.probe import ProbeQuestion

    for folder in reversed(done.values()):
        if (folder / "evaluate.json").is_file():
            where = read_json(folder / "evaluate.json")["sets"][-1]
            lines = Path(where["folder"]) / f"{where['name']}.jsonl"
            if lines.is_file():
                root = Path(where["folder"])
                rows = islice(read_jsonl(lines), 64)
                return [ProbeQuestion(row["question"], tuple(root / name for name in row["image"])) for _, row in rows]
    return [_drawn(runs)]


def _drawn(runs: Path) -> ProbeQuestion:
    from PIL import Image, ImageDraw

    from mindgpt_plugins.workbench.serve.probe import ProbeQuestion

    path = Path(runs) / "serve" / "smoke.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (224, 224), "white")
    ImageDraw.Draw(picture).ellipse((48, 48, 176, 176), fill="red")
    picture.save(path)
    return ProbeQuestion("What colour is the circle?", (path,))


def _show(console: Any, load: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("seconds", "p50", "p90", "p99", title=f"{load['requests']} requests, {load['at_once']} in flight")
    for name, key in (("to the first token", "first_token"), ("to the whole reply", "latency")):
        table.add_row(name, *(f"{value:.3f}" for value in load[key].values()))
    console.print(table)
    console.print(f"{load['requests_per_second']:.1f} requests/s, {load['tokens_per_second']:.1f} reply tokens/s")
    if load["failed"]:
        console.print(f"{len(load['failed'])} failed; the first: {load['failed'][0]}", style="red", markup=False)
