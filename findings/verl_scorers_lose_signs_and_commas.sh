#!/usr/bin/env bash
# A good guess: two of verl's default scorers tell apart answers that are different numbers: `search_r1_like_qa_em` (exact
# match, for search questions) and `math_dapo` (for AIME and DAPO's set).
# What happens: the first removes all punctuation, so -5 is 5, 3.5 is 35, 1/2 is 12, 10:30 is 1030 and C++ is C#. The second
# removes every comma, so the list 1,2,3 is the number 123. Both are told right, with the full reward.
# Why it hurts: answers of search questions are often years, rates, scores and times, and RL pays for the wrong ones.
# Version: verl 0.9.1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q --no-deps verl==0.9.1
cd "$work"
cat > check.py <<'PY'
import importlib.util
from importlib.metadata import distribution, version


def load(name):
    # The scorer's own file: the package around it would load torch and Ray, which it does not use.
    path = distribution("verl").locate_file(f"verl/utils/reward_score/{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


print("verl", version("verl"))
search, dapo = load("search_r1_like_qa_em"), load("math_dapo")
told = "<answer>a</answer><answer>b</answer><answer>{}</answer>"
for gold, reply, expected in [
    ("5", "5", 1.0),
    ("5", "6", 0.0),
    ("5", "-5", 1.0),
    ("35", "3.5", 1.0),
    ("12", "1/2", 1.0),
    ("1030", "10:30", 1.0),
    ("C#", "C++", 1.0),
]:
    score = search.compute_score(told.format(reply), {"target": [gold]})
    print(f"search_r1_like_qa_em: gold {gold}, reply {reply}: {score}")
    assert score == expected, (gold, reply, score)
for gold, reply, expected in [("123", "123", True), ("123", "124", False), ("123", "1,2,3", True)]:
    found = dapo.compute_score(f"Answer: {reply}", gold)
    print(f"math_dapo: gold {gold}, reply {reply}: {found['score']}")
    assert found["acc"] is expected, (gold, reply, found)
PY
env/bin/python check.py
