"""``python -m mindgpt_plugins.verl_ext.merge_lora BASE ADAPTER OUT``: one Hugging Face model for the next stage.

verl's model merger gathers the shards of a LoRA run into the untouched base and, beside it, the adapter; it does not
add the two. The base is read from where the run read it, so it keeps its precision.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from mindgpt_plugins.core.files import replace_folder


def merge_adapter(base: str, adapter: Path, out: Path) -> None:
    """Add the adapter to the base's weights.

    Args:
        base: folder or hub id of the model the run started from.
        adapter: verl's ``lora_adapter`` folder; its parent holds the tokenizer and processor files.
        out: folder to write. It appears whole or not at all.

    Raises:
        FileNotFoundError: there is no adapter.
        ValueError: the adapter does not fit, or is exactly zero: nothing was trained.
    """
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    if not (adapter / "adapter_model.safetensors").is_file():
        raise FileNotFoundError(f"{adapter} holds no adapter; did the run train with lora?")
    vision = hasattr(AutoConfig.from_pretrained(base), "vision_config")
    model = (AutoModelForImageTextToText if vision else AutoModelForCausalLM).from_pretrained(base, dtype="auto")
    tuned = PeftModel.from_pretrained(model, str(adapter))
    ups = [p for name, p in tuned.named_parameters() if "lora_B" in name]
    if not any(bool(p.any()) for p in ups):
        raise ValueError(f"{adapter}: the adapter's {len(ups)} up-projections are all zero; nothing was trained")
    merged = tuned.merge_and_unload(safe_merge=True)
    with replace_folder(out, alone=True) as aside:
        merged.save_pretrained(aside)
        for file in sorted(adapter.parent.iterdir()):
            if file.is_file() and not file.name.startswith("model") and not (aside / file.name).exists():
                shutil.copy2(file, aside)


def main() -> None:
    """Exit 1 with one line when something is wrong."""
    base, adapter, out = sys.argv[1:]
    try:
        merge_adapter(base, Path(adapter), Path(out))
    except (OSError, ValueError) as error:
        raise SystemExit(f"mindgpt: {error}") from error


if __name__ == "__main__":
    main()
