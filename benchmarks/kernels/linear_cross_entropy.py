"""Memory and time of the weighted loss over a vocabulary of 151,936, beside what it replaces, on CPU in float32.

    python benchmarks/kernels/linear_cross_entropy.py            (about 4 minutes on 2 idle cores)
    python benchmarks/kernels/linear_cross_entropy.py --long     (only H = 2048, N = 4k to 32k; its own file)
    python benchmarks/kernels/linear_cross_entropy.py --words 5000     (a look at whether it runs)

Every measurement is a fresh process. Extra memory is the peak resident size during forward and backward minus the size
before, so it holds the gradients of hidden states and weight, which every implementation must return. Sides: `logits`
(weighted cross-entropy on a tensor of logits), `hf` (transformers' ForCausalLMLoss, which has no weights), `verl` (its
chunked torch path; weights applied to the log-probabilities, all rows projected) and `ours`. Times are medians of
interleaved processes, each of which warms up once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mindgpt_plugins.core.process import build_child_environment

RESULTS = Path(__file__).parents[1] / "results"
SIDES = ("logits", "hf", "verl", "ours")
MB = 1e6


def child(case: dict[str, Any]) -> None:
    """One side in this process; prints a JSON line."""
    import torch

    torch.manual_seed(0)
    rows, width, words = case["rows"], case["width"], case["words"]
    hidden = torch.randn(rows, width).requires_grad_()
    weight = (torch.randn(words, width) * 0.02).requires_grad_()
    labels = torch.randint(0, words, (rows,))
    labels[torch.rand(rows) >= case["valid"]] = -100
    weights = torch.rand(rows) + 0.5
    run = side(case["side"], hidden, weight, labels, weights)
    # Threads, allocator and library buffers, without touching the sizes that are measured.
    warm = torch.randn(64, width)
    torch.nn.functional.cross_entropy(warm @ weight[:100].t(), labels[:64].clamp(0, 99)).backward()
    weight.grad = None
    seconds = []
    for _ in range(1 + case["repeats"]):
        hidden.grad = weight.grad = None
        before = resident()
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        start = time.perf_counter()
        loss = run()
        loss.backward()
        seconds.append(time.perf_counter() - start)
        if len(seconds) == 1:
            extra = resident(peak=True) - before
    found = {"loss": loss.item(), "gradient": weight.grad.norm().item()}
    print("FOUND" + json.dumps({**found, "extra": extra, "seconds": seconds[1:] or seconds}))


def side(name: str, hidden: Any, weight: Any, labels: Any, weights: Any) -> Any:
    """A function that computes the loss of one side."""
    import torch.nn.functional as F

    if name == "logits":
        return lambda: (F.cross_entropy((hidden @ weight.t()).float(), labels, reduction="none") * weights).sum()
    if name == "hf":
        from transformers.loss.loss_utils import ForCausalLMLoss

        return lambda: ForCausalLMLoss(hidden @ weight.t(), None, len(weight), 1, shift_labels=labels)
    if name == "verl":
        from verl.utils.experimental.torch_functional import FusedLinearForPPO

        fused, kept = FusedLinearForPPO(), weights * (labels != -100)
        return lambda: -(fused(hidden, weight, labels.clamp(min=0))[0] * kept).sum()
    from mindgpt_patches.linear_cross_entropy import compute_linear_cross_entropy

    return lambda: compute_linear_cross_entropy(hidden, weight, labels, token_weights=weights).loss


def resident(peak: bool = False) -> int:
    """Bytes of this process in memory, now or at most since the peak was reset."""
    field = "VmHWM:" if peak else "VmRSS:"
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def measure(threads: int, **case: Any) -> dict[str, Any]:
    """Run :func:`child` in a process of its own."""
    env = build_child_environment(cpu=True, offline=True, extra={"OMP_NUM_THREADS": str(threads)})
    command = [sys.executable, __file__, "--child", json.dumps(case)]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND")]
    if done.returncode or not lines:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]}
    return json.loads(lines[0][5:])  # type: ignore[no-any-return]


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=151_936)
    parser.add_argument("--rows", type=int, default=4096, help="rows of the memory table")
    parser.add_argument("--time-rows", type=int, default=512, help="rows of the time table")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--long", action="store_true", help="only H = 2048, at N = 4k to 32k with 410 targets each")
    parser.add_argument("--all-rows", action="store_true", help="H = 2048 also where all rows have a target")
    parser.add_argument("--child")
    args = parser.parse_args()
    if args.child:
        child(json.loads(args.child))
        return
    tables = [wide_table(args)] if args.long else [memory_table(args), time_table(args), wide_table(args)]
    text = (
        f"# Linear cross-entropy\n\n`python benchmarks/kernels/linear_cross_entropy.py {' '.join(sys.argv[1:])}`\n\n"
        f"{platform.machine()}, {os.cpu_count()} cores, {args.threads} threads, load {os.getloadavg()[0]:.1f}; Python "
        f"{platform.python_version()}, torch {version('torch')}, transformers {version('transformers')}, "
        f"verl {version('verl')}. float32, V = {args.words:,}.\n\n" + "\n\n".join(tables) + "\n"
    )
    result = RESULTS / f"linear_cross_entropy{'_long' * args.long}.md"
    result.write_text(text, encoding="utf-8")
    print(f"\nwritten: {result}")


def show(line: str) -> str:
    """Print a line of a table as soon as it is known."""
    print(line, flush=True)
    return line


def memory_table(args: argparse.Namespace) -> str:
    """Peak extra memory of each side at H = 256."""
    lines = [
        show(f"**Peak extra memory, H = 256, N = {args.rows:,}** (target: at most 1/12 of `logits`)\n"),
        show("| rows with a target | side | extra MB | of `logits` | s (cold) | within |\n|---|---|---|---|---|---|"),
    ]
    for valid in (1.0, 0.1):
        whole = 0.0
        for name in SIDES:
            got = measure(args.threads, side=name, rows=args.rows, width=256, words=args.words, valid=valid, repeats=0)
            if "failed" in got:
                lines.append(show(f"| {valid:.0%} | {name} | failed: {got['failed']} | | | |"))
                continue
            whole = got["extra"] if name == "logits" else whole
            part = f"1/{whole / got['extra']:.1f}" if whole else "–"
            within = ("yes" if got["extra"] <= whole / 12 else "no") if name == "ours" and whole else ""
            seconds = got["seconds"][0]
            lines.append(
                show(f"| {valid:.0%} | {name} | {got['extra'] / MB:,.0f} | {part} | {seconds:.2f} | {within} |")
            )
    return "\n".join(lines)


def time_table(args: argparse.Namespace) -> str:
    """Seconds of forward and backward of each side, in interleaved rounds."""
    lines = [
        show(f"\n**Time, H = 256, N = {args.time_rows:,}** (target: 1.0 of `logits` at 100 %, 0.25 at 10 %)\n"),
        show("| rows with a target | side | s, median [range] | of `logits` | within |\n|---|---|---|---|---|"),
    ]
    for valid, bound in ((1.0, 1.0), (0.1, 0.25)):
        found: dict[str, list[float]] = {name: [] for name in SIDES}
        for _ in range(args.rounds):
            for name in SIDES:
                case = {"rows": args.time_rows, "width": 256, "words": args.words, "valid": valid}
                found[name] += measure(args.threads, side=name, repeats=2, **case).get("seconds", [])
        base = statistics.median(found["logits"])
        for name, seconds in found.items():
            if not seconds:
                lines.append(show(f"| {valid:.0%} | {name} | failed | | |"))
                continue
            ratio = statistics.median(seconds) / base
            within = ("yes" if ratio <= bound else "no") if name == "ours" else ""
            spread = f"{statistics.median(seconds):.2f} [{min(seconds):.2f}, {max(seconds):.2f}]"
            lines.append(show(f"| {valid:.0%} | {name} | {spread} | {ratio:.2f} | {within} |"))
    return "\n".join(lines)


def wide_table(args: argparse.Namespace) -> str:
    """Peak extra memory of ours at H = 2048: dW and d hidden, both float32 and both asked for, and the rest."""
    lines = [
        show(
            "\n**Peak extra memory of ours, H = 2048** (target: dW + 256 MB). The gradient of hidden states is an "
            "output like dW and has 268 MB at N = 32k, so the last two columns say both: whether everything beside dW "
            "is within 256 MB, and whether what is neither gradient is.\n"
        ),
        show(
            "| N | rows with a target | extra MB | dW MB | d hidden MB | rest MB | s | extra ≤ dW + 256 | "
            "rest ≤ 256 |\n" + "|---" * 9 + "|"
        ),
    ]
    cases = [(4096, 0.1)]
    if args.long:  # as many targets each, so that only N differs
        cases += [(8192, 0.05), (16384, 0.025), (32768, 0.0125)]
    if args.all_rows:
        cases += [(4096, 1.0), (32768, 1.0)]
    for rows, valid in cases:
        got = measure(args.threads, side="ours", rows=rows, width=2048, words=args.words, valid=valid, repeats=0)
        if "failed" in got:
            lines.append(show(f"| {rows:,} | {valid:.2%} | failed: {got['failed']} | | | | | | |"))
            continue
        d_weight, d_hidden = args.words * 2048 * 4, rows * 2048 * 4
        rest = got["extra"] - d_weight - d_hidden
        verdicts = ("yes" if size <= 256 * MB else "no" for size in (got["extra"] - d_weight, rest))
        parts = " | ".join(f"{size / MB:,.0f}" for size in (got["extra"], d_weight, d_hidden, rest))
        lines.append(show(f"| {rows:,} | {valid:.2%} | {parts} | {got['seconds'][0]:.1f} | {' | '.join(verdicts)} |"))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
