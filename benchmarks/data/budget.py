"""Density budget against uniform, random and cheap-proxy budgets at equal total, on composed scenes.

    python benchmarks/data/budget.py [--estimator model-free] [--seeds 16] [--images 36]   (4 minutes on 2 cores)

Scenes hold 0 to 12 things and 0 to 3 lines of text on flat, graded, textured or photograph-like backgrounds, some with
noise, blur or uneven light. What can be asked about a scene is every question that the `annotations` teacher finds in
its exact truth. The estimator sees only pixels.

The teacher is a simulation of one whose yield saturates: asked for n items it picks n questions from those an image
allows, at random with replacement (`repeats`), or without until none is left and then repeats itself (`exhausts`: an
avoid-list that always works). Repeats, and questions too close to one asked before, are dropped by the `duplicates`
gate. A real teacher's yield has not been measured, so this is no proof that the budget helps with one.

Every seed is a corpus of its own; all allocators see the same scenes and the same proposals, cut at their own n. Writes
`benchmarks/results/data_budget.md`.
"""

from __future__ import annotations

import argparse
import io
import itertools
import math
import os
import platform
import random
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from mindgpt_data.budget.density import density
from mindgpt_data.budget.random import random as by_chance
from mindgpt_data.budget.uniform import uniform
from mindgpt_data.corpus.truth import read_truth
from mindgpt_data.density.score import Picture, compute_information_density
from mindgpt_data.embed import load_embedder
from mindgpt_data.gates.duplicates import normalise_question
from mindgpt_data.gates.similar import find_repeats
from mindgpt_data.pictures import KINDS, load_picture
from mindgpt_data.schema.record import ImageRecord
from mindgpt_data.teachers.base import Job
from mindgpt_data.teachers.questions import KINDS as QUESTIONS
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import spearmanr
from strata import DAMAGES, SIDE, backdrop, damaged

from mindgpt_plugins.core import registry

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "data_budget.md"
N_MIN, N_MAX, MEAN = 1, 8, 4
NEAR = 0.92
"""Cosine of two questions about one image above which the second is dropped: the gate's default."""
TEACHERS = ("repeats", "exhausts")
COLUMNS, ROWS = 4, 3
"""Things lie in cells above; texts in three places below."""
SHAPES = ("circle", "square", "triangle", "star")
INKS = {
    "red": (214, 40, 40),
    "green": (22, 140, 70),
    "blue": (29, 78, 216),
    "orange": (236, 110, 20),
    "purple": (126, 34, 180),
}
WORDS = (
    *("open", "closed", "sale", "today", "exit", "north", "south", "museum", "market", "station", "harbour"),
    *("coffee", "bakery", "garden", "level", "parking"),
)


@dataclass(frozen=True)
class Measured:
    """One scene after measuring.

    Attributes:
        possible: questions its truth allows.
        kept: teacher → of its first n proposals, how many the gate keeps, n = 0 … N_MAX.
        scores: predictor → value: ids, file size, entropy.
        seconds: CPU of the estimator.
    """

    possible: int
    kept: dict[str, list[int]]
    scores: dict[str, float]
    seconds: float


def scene(seed: int) -> tuple[Image.Image, ImageRecord]:
    """A composed scene and its truth; how much it holds and how it is drawn are independent."""
    rng = random.Random(f"scene {seed}")
    image = backdrop(rng.choice(("flat", "gradient", "stripes", "weave", "sky", "meadow")), rng)
    cells = rng.sample(range(COLUMNS * ROWS), COLUMNS * ROWS)
    objects = [_thing(image, cell, rng) for cell in cells[: rng.randint(0, len(cells))]]
    thirds = rng.sample(range(3), 3)
    texts = [_line(image, third, rng) for third in thirds[: rng.choice((0, 0, 0, 1, 2, 3))]]
    image = damaged(image, rng.choice(DAMAGES), rng)
    record = ImageRecord(f"{seed}", ["-"], SIDE, SIDE, content=f"{seed}", objects=objects, texts=texts)
    return image, record


def _thing(image: Image.Image, cell: int, rng: random.Random) -> dict[str, object]:
    """A shipped picture or a coloured shape inside a cell of the grid."""
    step, side = SIDE // COLUMNS, rng.randint(110, 230)
    left = cell % COLUMNS * step + rng.randint(0, step - side)
    top = cell // COLUMNS * step + rng.randint(0, step - side)
    box = [left, top, left + side, top + side]
    if rng.random() < 0.5:
        kind = KINDS[rng.choice(sorted(KINDS))]
        picture = load_picture(rng.choice(kind.files))
        scale = side / max(picture.size)
        picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
        image.paste(picture, (left, top), picture)
        name = f"{kind.name.replace('_', ' ')} sign" if kind.family == "sign" else kind.name
        return {"label": name, "box": [left, top, left + picture.width, top + picture.height]}
    colour, shape = rng.choice(sorted(INKS)), rng.choice(SHAPES)
    pen, fill = ImageDraw.Draw(image), INKS[colour]
    if shape == "circle":
        pen.ellipse(box, fill=fill)
    elif shape == "square":
        pen.rectangle(box, fill=fill)
    elif shape == "triangle":
        pen.polygon([(left + side / 2, top), (left, top + side), (left + side, top + side)], fill=fill)
    else:
        spokes = [(math.pi * k / 5, side / 2 if k % 2 == 0 else side / 5) for k in range(10)]
        middle = (left + side / 2, top + side / 2)
        pen.polygon([(middle[0] + r * math.sin(a), middle[1] - r * math.cos(a)) for a, r in spokes], fill=fill)
    return {"label": shape, "box": box, "attributes": {"colour": colour}}


def _line(image: Image.Image, third: int, rng: random.Random) -> dict[str, object]:
    """Two or three words on a light plate in the left, middle or right third of the bottom."""
    text = " ".join(rng.sample(WORDS, rng.randint(2, 3)))
    font, pen = ImageFont.load_default(22), ImageDraw.Draw(image)
    half = pen.textlength(text, font=font) / 2 + 6
    middle, top = (third + 0.5) * SIDE / 3, rng.randint(800, 920)
    box = [round(middle - half), top, round(middle + half), top + 36]
    pen.rectangle(box, fill=(250, 250, 245))
    pen.text((middle - half + 6, top + 4), text, font=font, fill=(20, 20, 20))
    return {"text": text, "box": box}


def questions(record: ImageRecord) -> list[str]:
    """Every question the scene's truth answers."""
    job = Job(record, ids=0.0, sub_scores={}, items=N_MAX, families={}, absent=("tree", "dog", "lamp"))
    truth = read_truth(record)
    return list(dict.fromkeys(q.ask for kind in QUESTIONS.values() for q in kind(truth, job))) or ["What is shown?"]


def proposals(possible: Sequence[str], teacher: str, rng: random.Random) -> list[str]:
    """N_MAX proposals of a simulated teacher."""
    if teacher == "repeats":
        return [rng.choice(possible) for _ in range(N_MAX)]
    fresh = rng.sample(possible, min(N_MAX, len(possible)))
    return fresh + [rng.choice(possible) for _ in range(N_MAX - len(fresh))]


def kept(asked: Sequence[str]) -> list[int]:
    """How many of the first n the duplicates gate keeps (exact, then by cosine), n = 0 … len(asked)."""
    vectors = load_embedder("static").encode(list(asked))
    fresh = [first is None for first in find_repeats(vectors, NEAR)]
    seen: set[str] = set()
    counts = [0]
    for question, far in zip(asked, fresh, strict=True):
        counts.append(counts[-1] + (far and normalise_question(question) not in seen))
        seen.add(normalise_question(question))
    return counts


def measure(job: tuple[int, str]) -> Measured:
    """Render, score and ask about one scene."""
    seed, estimator = job
    image, record = scene(seed)
    start = time.process_time()
    sub_scores = registry.get_registered("estimator", estimator)(Picture(image))
    seconds = time.process_time() - start
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=90)
    grey = np.bincount(np.asarray(image.convert("L")).ravel(), minlength=256) / SIDE**2
    possible = questions(record)
    return Measured(
        possible=len(possible),
        kept={t: kept(proposals(possible, t, random.Random(f"{t} {seed}"))) for t in TEACHERS},
        scores={
            "IDS": compute_information_density(sub_scores),
            "file size": float(file.tell()),
            "entropy": float(-(grey[grey > 0] * np.log2(grey[grey > 0])).sum()),
            **{f"sub-score {name}": value for name, value in sub_scores.items()},
        },
        seconds=seconds,
    )


def scaled(values: Sequence[float]) -> list[float]:
    """To [0, 1] over the corpus, so that a proxy can take the place of IDS."""
    low, high = min(values), max(values)
    return [(v - low) / (high - low) if high > low else 0.0 for v in values]


def allocations(corpus: Sequence[Measured], seed: int) -> dict[str, list[int]]:
    """Allocator → n per image, all with the same sum."""
    total, bounds = MEAN * len(corpus), {"n_min": N_MIN, "n_max": N_MAX}
    ids = [m.scores["IDS"] for m in corpus]
    made: dict[str, list[int]] = {
        "density": density(ids, total, **bounds),
        "uniform": uniform(ids, total, **bounds),
        "random": by_chance(ids, total, **bounds, seed=seed),
    }
    for proxy in ("file size", "entropy"):
        made[f"density on {proxy}"] = density(scaled([m.scores[proxy] for m in corpus]), total, **bounds)
    made["density on the truth (control)"] = density(scaled([min(20, m.possible) for m in corpus]), total, **bounds)
    return made


def interval(values: Sequence[float], draws: int = 10_000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over seeds."""
    rng = np.random.default_rng(0)
    means = rng.choice(np.array(values), size=(draws, len(values))).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def sign_p(values: Sequence[float]) -> float:
    """Two-sided exact sign-flip test of mean 0 over paired seeds."""
    observed = abs(sum(values))
    flips = np.array(list(itertools.product((-1, 1), repeat=len(values)))) @ np.array(values)
    return float((np.abs(flips) >= observed - 1e-12).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--estimator", default="model-free" if "model-free" in registry.list_registered_names("estimator") else "pixels"
    )
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--images", type=int, default=36)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--sheet", type=Path, help="Also write a contact sheet of the first scenes.")
    args = parser.parse_args()
    if not 6 <= args.seeds <= 20:
        parser.error("fewer than 6 paired seeds cannot reach p < 0.05; more than 20 cannot be tested exactly")
    start = time.monotonic()
    jobs = [(1000 * s + i, args.estimator) for s in range(args.seeds) for i in range(args.images)]
    with ProcessPoolExecutor(args.workers) as pool:
        measured = list(pool.map(measure, jobs, chunksize=4))
    corpora = [measured[s * args.images : (s + 1) * args.images] for s in range(args.seeds)]
    if args.sheet:
        sheet(args.sheet, [job[0] for job in jobs[:24]], measured)
    text = report(corpora, args, time.monotonic() - start)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text, encoding="utf-8")
    print(text)


def sheet(path: Path, seeds: Sequence[int], measured: Sequence[Measured]) -> None:
    """Scenes with their IDS and number of questions."""
    page = Image.new("RGB", (6 * 260, -(-len(seeds) // 6) * 280), "white")
    for i, seed in enumerate(seeds):
        at = (i % 6 * 260, i // 6 * 280)
        page.paste(scene(seed)[0].resize((256, 256)), at)
        note = f"IDS {measured[i].scores['IDS']:.2f}  {measured[i].possible} questions"
        ImageDraw.Draw(page).text((at[0] + 4, at[1] + 260), note, fill="black")
    page.save(path)


def report(corpora: Sequence[Sequence[Measured]], args: argparse.Namespace, seconds: float) -> str:
    """The result file."""
    plans = [allocations(corpus, s) for s, corpus in enumerate(corpora)]
    total, everything = MEAN * args.images, [m for corpus in corpora for m in corpus]
    possible = [m.possible for m in everything]
    lines = [
        "# Density budget against uniform at equal total",
        "",
        f"`python benchmarks/data/budget.py --estimator {args.estimator} --seeds {args.seeds} --images {args.images}`, "
        f"{seconds:.0f} s. {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"numpy {np.__version__}, Pillow {Image.__version__}.",
        "",
        f"{args.seeds} corpora of {args.images} composed scenes (1 megapixel, 0 to 12 things, 0 to 3 lines of text, "
        f"six backgrounds, four kinds of damage), {total} QA each, {N_MIN} to {N_MAX} per image. IDS from "
        f"`{args.estimator}` (pixels only, median {statistics.median(m.seconds for m in everything):.2f} s CPU per "
        f"image). Questions a scene allows: median {statistics.median(possible):.0f}, range {min(possible)} to "
        f"{max(possible)}.",
        "",
        "**The teacher is simulated** (`repeats`: picks from the scene's questions with replacement; `exhausts`: "
        "without, until none is left, then repeats). The gate is the `duplicates` gate's test within an image. "
        "Unvalidated until a real teacher's yield is measured.",
        "",
        *_claims(corpora, plans),
        "",
        "Unique kept QA per generated QA, mean over seeds; difference to uniform in points with its paired 95 % "
        "bootstrap interval and the sign-flip p over seeds (not corrected). `density` is the density allocator fed "
        "with IDS; the rows below `random` feed it with something else.",
        "",
        "| teacher | allocator | kept / generated | minus uniform | 95 % interval | p |",
        "|---|---|---|---|---|---|",
    ]
    for teacher in TEACHERS:
        base = _shares(corpora, plans, "uniform", teacher)
        for name in plans[0]:
            found = _shares(corpora, plans, name, teacher)
            gain = [100 * (a - b) for a, b in zip(found, base, strict=True)]
            lines.append(
                f"| {teacher} | {name} | {100 * statistics.mean(found):.1f} % {_beside(gain, name == 'uniform')}"
            )
    lines += [
        "",
        f"Spearman with the unique kept QA of {N_MAX} generated for every image, mean over seeds, and IDS minus it. "
        "`text` and `knowledge` can say little here: the questions from truth ask at most once about a line of text.",
        "",
        "| teacher | predictor | Spearman | IDS minus it | 95 % interval | p |",
        "|---|---|---|---|---|---|",
    ]
    for teacher in TEACHERS:
        for name in corpora[0][0].scores:
            found, gap = [_rank(c, name, teacher) for c in corpora], _gaps(corpora, name, teacher)
            lines.append(f"| {teacher} | {name} | {statistics.mean(found):.2f} {_beside(gap, name == 'IDS')}")
    return "\n".join(lines) + "\n"


def _claims(corpora: Sequence[Sequence[Measured]], plans: Sequence[dict[str, list[int]]]) -> list[str]:
    """The six claims, decided: Holm over all of them at 5 %."""
    tests = []
    for teacher in TEACHERS:
        pair = zip(*(_shares(corpora, plans, name, teacher) for name in ("density", "uniform")), strict=True)
        tests.append((f"density budget keeps more than uniform ({teacher})", [100 * (a - b) for a, b in pair]))
        for proxy in ("file size", "entropy"):
            tests.append((f"Spearman of IDS above that of {proxy} ({teacher})", _gaps(corpora, proxy, teacher)))
    order = sorted(range(len(tests)), key=lambda i: sign_p(tests[i][1]))
    corrected, running = [0.0] * len(tests), 0.0
    for place, i in enumerate(order):
        running = max(running, min(1.0, (len(tests) - place) * sign_p(tests[i][1])))
        corrected[i] = running
    lines = ["| claim | difference | p (Holm, 6 claims) | decided |", "|---|---|---|---|"]
    for (claim, values), p in zip(tests, corrected, strict=True):
        mean = statistics.mean(values)
        verdict = "null" if p >= 0.05 else "win" if mean > 0 else "loss"
        lines.append(f"| {claim} | {mean:+.2f} | {_p(p)} | **{verdict}** |")
    return lines


def _shares(
    corpora: Sequence[Sequence[Measured]], plans: Sequence[dict[str, list[int]]], allocator: str, teacher: str
) -> list[float]:
    """Kept per generated, per seed."""
    return [
        sum(m.kept[teacher][n] for m, n in zip(corpus, plan[allocator], strict=True)) / sum(plan[allocator])
        for corpus, plan in zip(corpora, plans, strict=True)
    ]


def _beside(values: Sequence[float], same: bool) -> str:
    if same:
        return "| – | – | – |"
    low, high = interval(values)
    return f"| {statistics.mean(values):+.2f} | {low:+.2f} to {high:+.2f} | {_p(sign_p(values))} |"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _gaps(corpora: Sequence[Sequence[Measured]], predictor: str, teacher: str) -> list[float]:
    return [_rank(corpus, "IDS", teacher) - _rank(corpus, predictor, teacher) for corpus in corpora]


def _rank(corpus: Sequence[Measured], predictor: str, teacher: str) -> float:
    yielded = [m.kept[teacher][N_MAX] for m in corpus]
    return float(spearmanr([m.scores[predictor] for m in corpus], yielded).statistic)


if __name__ == "__main__":
    main()
