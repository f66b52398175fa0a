#!/usr/bin/env bash
# A good guess: `tags` in LLaMA-Factory's dataset_info.json overrides the default names one by one (`system_tag` is "system"
# when nothing is said), so that naming role, content, user and assistant is enough.
# What happens: with any `tags`, the ones that are not named are unset. A row that begins with a system turn then counts as out of
# order and is dropped with a warning; so is one with a tool's result (`observation`). The same rows with no `tags` and the
# default names are kept.
# Why it hurts: of a set where some rows have a system prompt just those vanish from training, and the run is "done".
# Versions: llamafactory 0.9.5, transformers 5.5.4, torch 2.13.0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install -q torch==2.13.0 transformers==5.5.4 datasets==4.0.0 peft==0.18.1 trl==0.24.0 \
  accelerate==1.11.0 av==16.0.0 pillow==10.4.0 numpy==2.3.5 omegaconf==2.3.0
"$work/env/bin/pip" install -q --no-deps llamafactory==0.9.5
cd "$work"
: > torchaudio.py # imported for sound; not used here
cat > check.py <<'PY'
from importlib.metadata import version

from llamafactory.data.converter import get_dataset_converter
from llamafactory.data.parser import DatasetAttr
from llamafactory.hparams import DataArguments

print(*(f"{name} {version(name)}" for name in ("llamafactory", "transformers", "torch")), sep=", ")
named = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
cases = {
    "no tags, default names": ({}, ("from", "value", "human", "gpt")),
    "four tags": (named, ("role", "content", "user", "assistant")),
    "four tags and system_tag": (named | {"system_tag": "system"}, ("role", "content", "user", "assistant")),
}
kept = {}
for name, (tags, (role, content, user, assistant)) in cases.items():
    entry = DatasetAttr("file", dataset_name="set")
    entry.join({"formatting": "sharegpt", "columns": {"messages": "talk"}, **({"tags": tags} if tags else {})})
    convert = get_dataset_converter("sharegpt", entry, DataArguments(media_dir="."))
    said = [("system", "You see cars."), (user, "What colour is it?"), (assistant, "Red.")]
    row = convert({"talk": [{role: who, content: text} for who, text in said]})
    kept[name] = bool(row["_response"])
    print(f"{name}: {'kept' if kept[name] else 'dropped'}")
assert kept == {"no tags, default names": True, "four tags": False, "four tags and system_tag": True}, kept
PY
env/bin/python check.py
