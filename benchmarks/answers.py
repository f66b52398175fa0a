"""Confusion table of the answer parser over the labelled corpus: ``python benchmarks/answers.py [CORPUS_FOLDER]``.

One row per answer type: how often a reply labelled right, wrong or ambiguous was called right, wrong, or wrong with the
remark that another reading would be right; then every line whose verdict is not its label.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from pathlib import Path

from mindgpt_plugins.answers import judge_answer

CORPUS = Path(__file__).resolve().parents[1] / "tests" / "answers" / "corpus"
LABELS = ("right", "wrong", "ambiguous")


def main() -> int:
    """Print the table and the misses; return 1 when there are misses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", nargs="?", type=Path, default=CORPUS)
    folder = parser.parse_args().corpus
    lines = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.open(encoding="utf-8")]
    table: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    misses, spent = [], Counter[str]()
    for line in lines:
        started = time.process_time()
        verdict = judge_answer(line.get("question", ""), line["gold"], line["reply"], line["type"])
        spent[line["type"]] += time.process_time() - started
        said = "right" if verdict.right else "ambiguous" if verdict.ambiguous else "wrong"
        table[line["type"]][line["verdict"], said] += 1
        if line["verdict"] != "ambiguous" and (line["verdict"] == "right") is not verdict.right:
            misses.append((line, verdict))
    pairs = [(label, said) for label in LABELS for said in LABELS]
    print(f"{'type':8}" + "".join(f"{f'{label}→{said}':>21}" for label, said in pairs) + f"{'ms each':>10}")
    for kind, counts in sorted(table.items()):
        mean = 1000 * spent[kind] / sum(counts.values())
        print(f"{kind:8}" + "".join(f"{counts[pair]:>21}" for pair in pairs) + f"{mean:>10.3f}")
    languages = {code for line in lines for code in line["lang"].split("/")}
    print(f"{len(lines)} lines, {len(languages)} languages, {len(misses)} wrong verdicts")
    for line, verdict in misses:
        print(f"  {line['type']} gold {line['gold']!r} reply {line['reply']!r}: {line['verdict']}, but {verdict.why}")
    return bool(misses)


if __name__ == "__main__":
    raise SystemExit(main())
