"""Stage ``sft``: supervised fine-tuning by LLaMA-Factory."""
