#!/usr/bin/env bash
# A good guess: in LLaMA-Factory `formatting: openai` is sharegpt with other names for roles and content.
# What happens: its converter adds the system prompt `detailed thinking off` (a switch of one model family) to every row that
# has neither tools nor a system prompt saying otherwise, and appends it to a system prompt that a row does have.
# Why it hurts: the model is trained under a system prompt that nobody wrote and that evaluation, RL and serving do not
# send; the same rows with `formatting: sharegpt` and the tags role, content, user, assistant have none.
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
tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "system_tag": "system"}
talk = [{"role": "user", "content": "What colour is it?"}, {"role": "assistant", "content": "Red."}]
system = {"role": "system", "content": "You see pictures of cars."}
seen = {}
for formatting in ("sharegpt", "openai"):
    entry = DatasetAttr("file", dataset_name="set")
    entry.join({"formatting": formatting, "tags": tags, "columns": {"messages": "messages"}})
    convert = get_dataset_converter(formatting, entry, DataArguments(media_dir="."))
    seen[formatting] = [convert({"messages": rows})["_system"] for rows in (talk, [system, *talk])]
    print(formatting, seen[formatting])
assert seen["sharegpt"] == ["", system["content"]], seen
assert seen["openai"] == ["detailed thinking off", system["content"] + "\ndetailed thinking off"], seen
print("the openai format adds a system prompt to both rows")
PY
env/bin/python check.py
