"""What the kernels give on a GPU, in one command of at most ten minutes. Never run on a GPU by us: no number exists.

    python benchmarks/gpu/run.py                          on one H200: 10 minutes at most, 5 by estimate
    python benchmarks/gpu/run.py --sections step,dpo      some of it
    python benchmarks/gpu/run.py --tiny                   toy sizes on CPU, under 2 minutes: only shows that it runs

It needs the machine's own torch and transformers and this checkout; nothing is installed, the patches are imported from
``patches/``. Liger-Kernel, cut-cross-entropy and verl take part where they can be imported (their wheels unpacked on
PYTHONPATH without dependencies will do) and are reported absent otherwise; a patch that refuses this transformers is
reported refused. Sections, in this order, each in its own process so that one failing does not cost the others:

* ``patch_embed``: Conv3d beside Linear, ms per call at 1k, 4k and 16k patches, bfloat16 and float32;
* ``step``: a supervised step of Qwen3-VL-2B with random weights, stock, with Liger and packing, and ours;
* ``dpo``: log-probabilities of two pairs of 4k tokens, policy and reference, ours beside LLaMA-Factory's way;
* ``linear_ce``: linear cross-entropy beside Hugging Face, Liger, verl and cut-cross-entropy, and predicted bytes.

Rows are written to ``gpu.json`` and ``gpu.md`` in ``--out`` as they come. When the time is up no new case is begun and
those left out are listed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "patches")]

from results import Budget, Results, versions  # noqa: E402
from table import page  # noqa: E402

SECTIONS = ("patch_embed", "step", "dpo", "linear_ce")
UNTIL = {"patch_embed": 0.2, "step": 0.6, "dpo": 0.75, "linear_ce": 1.0}
"""Part of the time by which a section begins its last case when others follow: a convolution may take seconds."""
GRACE = 45
"""Seconds a section may run on after its time is up, to finish the case it is in."""
PEAK_TFLOPS = 989.4
"""Dense bfloat16 of an H200 SXM by its data sheet."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sections; 1 when one failed as a whole, 2 without a GPU."""
    args = parser().parse_args(argv)
    if args.worker:
        work(args.worker, args.out, args.deadline, args.tiny)
        return 0
    started = time.time()
    # Asked in another process: a CUDA context here would take memory from what is measured.
    asks = "import torch; raise SystemExit(not torch.cuda.is_available())"
    if not args.tiny and subprocess.run([sys.executable, "-c", asks]).returncode:
        print("error: torch sees no GPU; --tiny runs everything at toy sizes on CPU", file=sys.stderr)
        return 2
    out = args.out or (Path(tempfile.mkdtemp(prefix="gpu-tiny-")) if args.tiny else HERE.parent / "results")
    results = Results(out, page)
    results.start(
        {
            "command": "python benchmarks/gpu/run.py " + " ".join(sys.argv[1:] if argv is None else argv),
            "begun": time.strftime("%Y-%m-%d %H:%M"),
            "tiny": args.tiny,
            "sections": args.sections,
            "peak_tflops": args.peak_tflops,
            "versions": versions(),
        }
    )
    failed = 0
    for section in args.sections:
        part = 1.0 if section == args.sections[-1] else UNTIL[section]
        failed += not spawn(section, results, started + part * args.budget_seconds, args.tiny)
    print(f"written: {results.path} and {results.page} after {time.time() - started:.0f} s")
    return int(bool(failed))


def parser() -> argparse.ArgumentParser:
    """Options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--sections", type=sections, default=list(SECTIONS), help=f"of {','.join(SECTIONS)}")
    made.add_argument("--budget-seconds", type=float, default=530, help="no case is begun later than this")
    made.add_argument("--peak-tflops", type=float, default=PEAK_TFLOPS, help="of this GPU, for MFU")
    made.add_argument("--out", type=Path, help="folder; default benchmarks/results, with --tiny a temporary one")
    made.add_argument("--tiny", action="store_true", help="toy sizes, on CPU")
    made.add_argument("--worker", choices=SECTIONS, help=argparse.SUPPRESS)
    made.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    return made


def sections(text: str) -> list[str]:
    """Names, separated by commas."""
    names = text.split(",")
    if unknown := [name for name in names if name not in SECTIONS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(SECTIONS)}")
    return names


def spawn(section: str, results: Results, deadline: float, tiny: bool) -> bool:
    """Run a section in its own process; whether it came to its end."""
    if Budget(deadline).spent(results, section):
        return True
    command = [sys.executable, __file__, "--worker", section, "--deadline", str(deadline), "--out"]
    command += [str(results.path.parent), *(["--tiny"] if tiny else [])]
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if tiny else {}
    try:
        limit = deadline - time.time() + GRACE
        done = subprocess.run(command, env={**os.environ, **hidden}, stderr=subprocess.PIPE, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        results.add(section, side="all", state="failed: still running after the time was up, ended")
        return False
    print(done.stderr, end="", file=sys.stderr)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        results.add(section, side="all", state=f"failed: exit {done.returncode}: {last}"[:300])
    return not done.returncode


def work(section: str, out: Path, deadline: float, tiny: bool) -> None:
    """One section, in this process."""
    results = Results(out, page)
    if "machine" not in results.read():
        results.note(machine=machine())
    importlib.import_module(f"case_{section}").run(results, Budget(deadline), tiny)


def machine() -> str:
    """The GPU with its memory, driver's CUDA and measured matrix rate, or that there is none."""
    import torch

    if not torch.cuda.is_available():
        return f"{platform.machine()}, {os.cpu_count()} cores, no GPU"
    from clock import matmul_rate

    about = torch.cuda.get_device_properties(0)
    return (
        f"{about.name}, {about.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}; "
        f"8192³ bfloat16 product at {matmul_rate():.0f} TFLOP/s"
    )


if __name__ == "__main__":
    sys.exit(main())
