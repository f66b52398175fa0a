"""What becomes of ``sft`` and ``dpo`` stages: two optimizer steps that keep what can break."""

from __future__ import annotations

from mindgpt_plugins.workbench.rehearse.draft import Draft

STEPS = 2
_LENGTH = (
    "max_steps", "num_train_epochs", "save_steps", "save_strategy", "logging_steps", "eval_steps", "max_samples",
    "per_device_train_batch_size", "gradient_accumulation_steps", "per_device_eval_batch_size", "report_to",
    "run_name", "push_to_hub", "load_best_model_at_end",
)  # fmt: skip
"""Host keys that would undo what the rehearsal sets, or report it somewhere."""
_ACCELERATOR = {
    "deepspeed": "DeepSpeed (sharding, offload)",
    "fsdp": "FSDP sharding",
    "fsdp_config": "FSDP sharding",
    "use_fsdp2": "FSDP2 sharding",
    "flash_attn": "the attention kernel",
    "bf16": "bfloat16 training",
    "fp16": "float16 training",
    "pure_bf16": "bfloat16 weights",
    "tf32": "TF32 products",
    "enable_liger_kernel": "Liger's kernels",
    "use_unsloth": "Unsloth's kernels",
    "quantization_bit": "quantised base weights",
    "quantization_method": "quantised base weights",
    "ddp_timeout": "a time limit of NCCL",
    "torch_compile": "compiled graphs",
    "infer_dtype": "the dtype of the merged model",
    "double_quantization": "quantised base weights",
}


def training(draft: Draft) -> None:
    """Change an ``sft`` or ``dpo`` stage."""
    workers = draft.get("workers")
    accumulation = draft.get("gradient_accumulation")
    micro = max(1, draft.get("batch_size") // (accumulation * workers))
    few = min(2, workers)
    draft.set("epochs", None)
    draft.set("max_steps", STEPS)
    draft.set("save_steps", 1)
    draft.set("keep_checkpoints", max(2, draft.get("keep_checkpoints")))
    draft.set("logging_steps", 1)
    if few < workers:
        draft.set("workers", few, "gpu only", f"{workers} ranks and their memory; {few} over gloo are proven")
    draft.most("gradient_accumulation", 2)
    draft.set("batch_size", few * min(2, accumulation) * min(2, micro))
    draft.most("dataloader_workers", 1)
    draft.most("eval_steps", 1)
    for key in _LENGTH:
        draft.drop(f"llamafactory.{key}", "smaller", "")
    for key, means in _ACCELERATOR.items():
        if draft.get(f"llamafactory.{key}") is None:
            draft.settings.get("llamafactory", {}).pop(key, None)
        draft.drop(f"llamafactory.{key}", "gpu only", means)
    optimizer = str(draft.get("llamafactory.optim") or "")
    if any(word in optimizer for word in ("8bit", "paged", "fused", "apex")):
        draft.drop("llamafactory.optim", "gpu only", f"the optimizer {optimizer}; AdamW is proven")
