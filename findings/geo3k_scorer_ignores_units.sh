#!/usr/bin/env bash
# A good guess: verl's `geo3k` scorer (the default reward of its vision-language example) tells quantities apart, because it
# compares what stands in \boxed{} by mathruler's grader.
# What happens: whatever unit stands behind the number is ignored, another one too: "3 hours" is right for "3 minutes" and
# "5 feet" for "5 inches"; a cube root is right for a square root. A wrong number is still wrong.
# Why it hurts: RL pays for wrong units and roots, and the accuracy that is reported counts them.
# Versions: verl 0.9.1, mathruler 0.1.0, sympy 1.14.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q mathruler==0.1.0 sympy==1.14.0 pylatexenc==2.10 tqdm==4.67.1
"$work/env/bin/pip" install -q --no-deps verl==0.9.1
cd "$work"
cat > check.py <<'PY'
import importlib.util
from importlib.metadata import distribution, version

# The scorer's own file: the package around it would load torch and Ray, which it does not use.
path = distribution("verl").locate_file("verl/utils/reward_score/geo3k.py")
spec = importlib.util.spec_from_file_location("geo3k", path)
geo3k = importlib.util.module_from_spec(spec)
spec.loader.exec_module(geo3k)
print(*(f"{name} {version(name)}" for name in ("verl", "mathruler", "sympy")), sep=", ")
cases = [  # gold answer, reply, what it scores
    ("3 minutes", "3 minutes", 1.0),
    ("3 minutes", "4 minutes", 0.0),
    ("3 minutes", "3 hours", 1.0),
    ("5 inches", "5 feet", 1.0),
    (r"\sqrt{2}", r"\sqrt[3]{2}", 1.0),
]
for gold, reply, expected in cases:
    score = geo3k.acc_reward(rf"\boxed{{{reply}}}", gold)
    print(f"gold {gold}, reply {reply}: {score}")
    assert score == expected, (gold, reply, score)
PY
env/bin/python check.py
