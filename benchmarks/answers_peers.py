r"""What other parsers say of the labelled corpus: ``python benchmarks/answers_peers.py [--out answers_peers.md]``.

Each peer judges the English lines of the types that it claims to handle (EvalScope's Chinese parser the Chinese
ones), by its own functions, unchanged, and its verdict is held against the label. *Stricter*: it calls a
right reply wrong; *looser*: it calls a wrong one, or one with two readings,
right; *fails*: it raises. Ours is in the table, too.

Two forms of asking. ``reply``: the peer reads the whole reply, reasoning taken off, as the harnesses do. ``answer``:
the peer is given the final answer that our parser found, in the form that it wants (``\boxed{…}``,
``<answer>…</answer>``, or bare), so that only its comparison is measured; lines without a final answer are left out.
Peers that are not installed are named in the table and skipped. The harnesses need an environment of their own, see
the results.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import random
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindgpt_plugins.answers import extract_answer, judge_answer, options_of, strip_reasoning
from mindgpt_plugins.answers.options import list_option_texts

CORPUS = Path(__file__).resolve().parents[1] / "tests" / "answers" / "corpus"
COMMAND = "python benchmarks/answers_peers.py --out benchmarks/results/answers_peers.md"
Line = dict[str, Any]
_DOCUMENT = """# Other parsers on the labelled corpus

`{command}` on {versions}. What the columns mean stands at the head of the
script. math-verify and verl come with the extra `rl`; the others were installed beside it, into an environment of their
own and without their dependencies (`pip install --no-deps evalscope==1.14.1 lmms-eval==0.7.3 mathruler==0.1.0
pylatexenc filetype jsonlines editdistance tabulate loguru tenacity evaluate`): enough to import these functions,
not to run the harnesses. Of lmms-eval the modules are imported without `lmms_eval.tasks`, which loads all of it.

The labels are this project's, and its parser was mended on this corpus: its own row says no more than that it does what
its documentation says. The rows of the others say where they differ from that, not how good they are at what they were
made for.

| type | parser | given | lines | agree | stricter | looser | fails | agree, % |
|---|---|---|--:|--:|--:|--:|--:|--:|
{rows}

{absent}## Typical lines

Gold answer ← reply.

| type | parser | given | differs | line |
|---|---|---|---|---|
{examples}
"""


@dataclass(frozen=True)
class Peer:
    """One function of a package that judges replies."""

    package: str
    name: str
    answer_types: tuple[str, ...]
    form: str
    """``reply`` or ``answer``."""
    load: Callable[[], Callable[[Line, str], bool]]
    """Imports the package; gives what judges a line and the text of the form."""
    language: str = "en"

    @property
    def title(self) -> str:
        """Package and function, as the table names them."""
        return f"{self.package} `{self.name}`"


@dataclass
class Tally:
    """What came of one peer on one answer type."""

    counts: Counter[str] = field(default_factory=Counter)
    stricter: list[Line] = field(default_factory=list)
    looser: list[Line] = field(default_factory=list)


def import_module(name: str) -> Any:
    """Import a module of a harness without running the ``__init__`` of its parents, which import the whole harness."""
    parts = name.split(".")
    if parts[0] == "lmms_eval":
        spec = importlib.util.find_spec("lmms_eval")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError("No module named 'lmms_eval'")
        for depth in (2, 3):
            parent = ".".join(parts[:depth])
            if parent not in sys.modules and depth < len(parts):
                module = types.ModuleType(parent)
                module.__path__ = [str(Path(spec.origin).parent.joinpath(*parts[1:depth]))]
                sys.modules[parent] = module
    return importlib.import_module(name)


def load_math_verify() -> Callable[[Line, str], bool]:
    """Defaults of math-verify; the gold answer is boxed, as verl and the harnesses box it."""
    from math_verify import parse, verify

    return lambda line, text: bool(verify(parse(f"\\boxed{{{line['gold']}}}"), parse(text)))


def load_geo3k() -> Callable[[Line, str], bool]:
    """The reward of verl for Geometry3K."""
    module = import_module("verl.utils.reward_score.geo3k")
    return lambda line, text: bool(module.acc_reward(text, line["gold"]) == 1.0)


def load_math_reward() -> Callable[[Line, str], bool]:
    """The reward of verl for MATH."""
    module = import_module("verl.utils.reward_score.math_reward")
    return lambda line, text: bool(module.compute_score(text, line["gold"]) == 1.0)


def load_math_dapo() -> Callable[[Line, str], bool]:
    """The reward of verl for DAPO: ``Answer: X``, else a box."""
    module = import_module("verl.utils.reward_score.math_dapo")
    return lambda line, text: bool(module.compute_score(text, line["gold"])["acc"])


def load_prime_math() -> Callable[[Line, str], bool]:
    """The reward of verl for PRIME."""
    module = import_module("verl.utils.reward_score.prime_math")
    return lambda line, text: bool(module.compute_score(text, line["gold"])[0])


def load_search_r1() -> Callable[[Line, str], bool]:
    """The exact match of verl for of Search-R1."""
    module = import_module("verl.utils.reward_score.search_r1_like_qa_em")
    return lambda line, text: bool(module.em_check(module.extract_solution(text) or "", line["gold"]))


def load_evalscope_math() -> Callable[[Line, str], bool]:
    """EvalScope's comparison of mathematics, reading a whole output."""
    module = import_module("evalscope.metrics.math.parser")

    def judge(line: Line, text: str) -> bool:
        result = module.compare_answers(text, line["gold"], prediction_mode="output", validate_reference=False)
        return bool(result.matched)

    return judge


def load_evalscope_choice(chinese: bool) -> Callable[[], Callable[[Line, str], bool]]:
    """EvalScope's parser of options, for several where the gold answer is several."""

    def load() -> Callable[[Line, str], bool]:
        module = import_module("evalscope.utils.multi_choices")
        parse = module.parse_answers_zh if chinese else module.parse_answers

        def judge(line: Line, text: str) -> bool:
            state = types.SimpleNamespace(choices=list(options_of(line["question"])))
            want = gold_labels(line)
            return bool(set(parse(state, multiple_correct=len(want) > 1, completion=text)) == want)

        return judge

    return load


def load_evalscope_verdict() -> Callable[[Line, str], bool]:
    """EvalScope's verdict of HallusionBench."""
    module = import_module("evalscope.utils.yes_no")
    return lambda line, text: bool(module.extract_verdict(text, allow_lowercase_exact=True) == line["gold"].upper())


def load_relaxed(module_name: str) -> Callable[[], Callable[[Line, str], bool]]:
    """The relaxed correctness of ChartQA (5 %)."""

    def load() -> Callable[[Line, str], bool]:
        module = import_module(module_name)
        return lambda line, text: bool(module.relaxed_correctness(text, line["gold"]))

    return load


def load_mcq_extract() -> Callable[[Line, str], bool]:
    """Shared by lmms-eval's tasks: the extraction of an option's letter."""
    module = import_module("lmms_eval.tasks._task_utils.mcq_extract")

    def judge(line: Line, text: str) -> bool:
        letters = [label.upper() for label in options_of(line["question"])]
        return bool({module.extract_mcq_answer(text, letters)} == gold_labels(line))

    return judge


def load_mmmu_choice() -> Callable[[Line, str], bool]:
    """MMMU's options in lmms-eval; it draws an option at random when it finds none."""
    module = import_module("lmms_eval.tasks._task_utils.mmmu_mcq_utils")

    def judge(line: Line, text: str) -> bool:
        options = {label.upper(): option for label, option in list_option_texts(line["question"]).items()}
        random.seed(0)
        return bool({module.parse_mmmu_multi_choice_response(text, list(options), options)} == gold_labels(line))

    return judge


def load_mmmu_open() -> Callable[[Line, str], bool]:
    """MMMU's open questions."""
    module = import_module("lmms_eval.tasks.mmmu.utils")
    return lambda line, text: bool(module.eval_open(line["gold"], module.parse_open_response(text)))


def load_pope() -> Callable[[Line, str], bool]:
    """POPE in lmms-eval."""
    module = import_module("lmms_eval.tasks.pope.utils")

    def judge(line: Line, text: str) -> bool:
        scores = module.pope_process_results({"answer": line["gold"], "question_id": 0}, [text])
        return bool(scores["pope_accuracy"]["score"] == 1.0)

    return judge


def load_refcoco() -> Callable[[Line, str], bool]:
    """RefCOCO's box in lmms-eval, at half overlap."""
    module = import_module("lmms_eval.tasks.refcoco.utils_rec")

    def judge(line: Line, text: str) -> bool:
        return bool(module.compute_accuracy(json.loads(line["gold"]), module.parse_float_sequence_within(text), 0.5))

    return judge


def load_ours() -> Callable[[Line, str], bool]:
    """This project's verdict."""
    return lambda line, text: judge_answer(line.get("question", ""), line["gold"], text, line["type"]).right


def load_peers() -> list[Peer]:
    """Return all peers, in the order of the table."""
    mathematics, lmms = ("math", "number"), "lmms-eval"
    return [
        Peer(
            "mindgpt-plugins", "judge_answer", ("math", "number", "text", "choice", "yesno", "box"), "reply", load_ours
        ),
        Peer("math-verify", "parse, verify", mathematics, "reply", load_math_verify),
        Peer("math-verify", "parse, verify", mathematics, "answer", load_math_verify),
        Peer("verl", "geo3k", mathematics, "answer", load_geo3k),
        Peer("verl", "math_reward", mathematics, "answer", load_math_reward),
        Peer("verl", "math_dapo", mathematics, "reply", load_math_dapo),
        Peer("verl", "prime_math", mathematics, "answer", load_prime_math),
        Peer("verl", "search_r1_like_qa_em", ("text",), "answer", load_search_r1),
        Peer("evalscope", "metrics.math", mathematics, "reply", load_evalscope_math),
        Peer("evalscope", "metrics.math", mathematics, "answer", load_evalscope_math),
        Peer("evalscope", "parse_answers", ("choice",), "reply", load_evalscope_choice(False)),
        Peer("evalscope", "parse_answers_zh", ("choice",), "reply", load_evalscope_choice(True), "zh"),
        Peer("evalscope", "extract_verdict", ("yesno",), "reply", load_evalscope_verdict),
        Peer("evalscope", "extract_verdict", ("yesno",), "answer", load_evalscope_verdict),
        Peer("evalscope", "chartqa", ("number", "text"), "answer", load_relaxed("evalscope.benchmarks.chartqa.utils")),
        Peer(lmms, "chartqa", ("number", "text"), "answer", load_relaxed("lmms_eval.tasks.chartqa.utils")),
        Peer(lmms, "mcq_extract", ("choice",), "reply", load_mcq_extract),
        Peer(lmms, "mmmu multiple choice", ("choice",), "reply", load_mmmu_choice),
        Peer(lmms, "mmmu open", ("number", "text"), "reply", load_mmmu_open),
        Peer(lmms, "pope", ("yesno",), "answer", load_pope),
        Peer(lmms, "refcoco_rec", ("box",), "reply", load_refcoco),
    ]


def gold_labels(line: Line) -> set[str]:
    """The letters of the gold answer of a question with options."""
    return {letter for letter in line["gold"].upper() if letter.isalpha()}


def read_lines(answer_type: str, language: str) -> Iterator[Line]:
    """Yield the lines with one gold answer of a type in a language; of choices those whose options are A, B, C."""
    for path in sorted(CORPUS.glob("*.jsonl")):
        for text in path.open(encoding="utf-8"):
            line = json.loads(text)
            if line["type"] != answer_type or language not in line["lang"].split("/"):
                continue
            if str(line["gold"]).startswith(('{"any_of"', '{"all_of"', '["')):
                continue
            if answer_type == "choice":
                labels = [label.upper() for label in options_of(line.get("question", ""))]
                if not labels or labels != [chr(65 + i) for i in range(len(labels))]:
                    continue
                if not set(str(line["gold"]).upper()) <= {*labels, ",", " "}:
                    continue
            if answer_type == "yesno" and line["gold"].lower() not in ("yes", "no"):
                continue
            if answer_type == "box" and line["gold"].count("[") != 1:
                continue
            yield line


def make_form(peer: Peer, line: Line) -> str | None:
    """What the peer is given; None when our parser finds no final answer to give."""
    if peer.form == "reply":
        return line["reply"] if peer.package == "mindgpt-plugins" else strip_reasoning(line["reply"])
    answer = extract_answer(line["reply"], line["type"])
    if answer is None:
        return None
    if peer.name == "search_r1_like_qa_em":
        return f"<answer>{answer}</answer>"
    return f"\\boxed{{{answer}}}" if set(peer.answer_types) == {"math", "number"} else answer


def judge_lines(peer: Peer, judge: Callable[[Line, str], bool], answer_type: str) -> Tally:
    """Let a peer judge all lines of a type, and count."""
    tally = Tally()
    for line in read_lines(answer_type, peer.language):
        text = make_form(peer, line)
        if text is None:
            continue
        tally.counts["lines"] += 1
        try:
            said = judge(line, text)
        except Exception as error:
            tally.counts["fails"] += 1
            tally.counts[f"{type(error).__name__}"] += 1
            continue
        if said is (line["verdict"] == "right"):
            tally.counts["agree"] += 1
        else:
            (tally.looser if said else tally.stricter).append(line)
    return tally


def choose_examples(lines: list[Line], most: int = 2) -> list[Line]:
    """The shortest lines, each of another kind."""
    found: dict[str, Line] = {}
    for line in sorted(lines, key=lambda one: len(one["reply"])):
        found.setdefault(line["why"], line)
    return list(found.values())[:most]


def format_example(line: Line) -> str:
    """Gold answer and reply on one line of a Markdown table."""
    gold, reply = (
        json.dumps(str(v), ensure_ascii=False)[1:-1].replace("|", "\\|") for v in (line["gold"], line["reply"])
    )
    return f"`{gold}` ← `{reply[:90]}`".replace("\\\\", "\\")


def main() -> int:
    """Judge, print the tables, and write them when a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="Markdown file for the tables")
    out = parser.parse_args().out
    rows, examples, absent, versions = [], [], [], {}
    for peer in load_peers():
        try:
            judge = peer.load()
            versions[peer.package] = importlib.metadata.version(peer.package)
        except Exception as error:  # a harness that is not installed, or whose import fails
            absent.append(f"{peer.title}: {type(error).__name__}: {str(error)[:120]}")
            continue
        for answer_type in peer.answer_types:
            tally = judge_lines(peer, judge, answer_type)
            counts, (strict, loose) = tally.counts, (tally.stricter, tally.looser)
            numbers = (counts["lines"], counts["agree"], len(strict), len(loose), counts["fails"])
            share = 100 * counts["agree"] / max(1, counts["lines"])
            rows.append((answer_type, peer, numbers, share))
            print(
                f"{answer_type:7} {peer.title:45} {peer.form:7}",
                *(f"{n:5}" for n in numbers),
                f"{share:6.1f}",
                flush=True,
            )
            for word, lines in (("stricter", strict), ("looser", loose)):
                for line in choose_examples(lines):
                    examples.append(f"| {answer_type} | {peer.title} | {peer.form} | {word} | {format_example(line)} |")
    order = ("math", "number", "text", "choice", "yesno", "box")
    rows.sort(key=lambda row: (order.index(row[0]), row[1].package != "mindgpt-plugins"))
    table = [
        f"| {kind} | {peer.title} | {peer.form} | {' | '.join(map(str, numbers))} | {share:.1f} |"
        for kind, peer, numbers, share in rows
    ]
    named = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    document = _DOCUMENT.format(
        command=COMMAND,
        versions=f"{named}, Python {sys.version.split()[0]}",
        rows="\n".join(table),
        absent="".join(f"Not imported: {text}.\n\n" for text in absent),
        examples="\n".join(sorted(examples)),
    )
    if out is not None:
        out.write_text(document, encoding="utf-8")
    print(*absent, sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
