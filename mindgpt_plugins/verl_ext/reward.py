"""verl reward manager that runs the sample-scope rewards of the settings.

A manager and not a ``custom_reward_function``, because only a manager sees the reply's tokens, the step and the images.
It always returns the same keys. A reward that raises does not fail the request (verl would drop the reply and train
on): its traceback travels in the field ``mindgpt_error`` and the trainer stops on it before the update.
"""

from __future__ import annotations

import asyncio
import json
import os
import traceback
from typing import Any

from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from mindgpt_plugins.core.registry import load_plugins
from mindgpt_plugins.rewards.sdk import CORRECT, Rollout
from mindgpt_plugins.rewards.suite import Suite
from mindgpt_plugins.verl_ext.settings import load_verl_settings
from mindgpt_plugins.verl_ext.step.reward_fields import ERROR, LOG, PID, PREFIX
from mindgpt_plugins.verl_ext.step.rows import make_rollout_from_verl


class MindGPTRewardManager(RewardManagerBase):  # type: ignore[misc]
    """Chosen by the trainer; see the module's docstring."""

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any = None, **unused: Any):
        super().__init__(config, tokenizer, compute_score)
        settings = load_verl_settings(config)
        load_plugins(settings.plugins)
        self.suite = Suite(settings.rewards)
        self.total = int(config.trainer.total_training_steps)

    async def run_single(self, data: Any) -> dict[str, Any]:
        """Score the last trajectory of one session."""
        item = data[-1:][0]
        rollout: Rollout | None = None
        components: dict[str, float | None] = dict.fromkeys(self.suite.names("sample"))
        score, error, log = 0.0, "", "{}"
        try:
            rollout = await asyncio.to_thread(self._rollout, item)
            scores = await self.suite.score_sample_async(rollout)
            score, components = scores.score, components | scores.components
            log = json.dumps(scores.log, default=str)
        except Exception as problem:
            sample = {"uid": rollout.uid, "reply": rollout.text} if rollout else {"uid": "unknown"}
            error = json.dumps(
                {"cause": f"{type(problem).__name__}: {problem}", "sample": sample, "traceback": traceback.format_exc()}
            )
        info: dict[str, Any] = {
            "score": score,
            "acc": float(score >= CORRECT),
            ERROR: error,
            LOG: log,
            PID: os.getpid(),
        }
        for name, value in components.items():
            info[PREFIX + name] = float("nan") if value is None else value
        return {"reward_score": score, "reward_extra_info": info}

    def _rollout(self, item: Any) -> Rollout:
        fields = item.non_tensor_batch
        responses = item.batch["responses"]
        length = int(item.batch["attention_mask"][-responses.shape[-1] :].sum())
        token_ids = responses[:length].tolist()
        text = self.tokenizer.decode(token_ids, skip_special_tokens=True)
        step = int(fields["global_steps"])
        return make_rollout_from_verl(fields, text, token_ids, step, self.total, prompt=fields.get("raw_prompt"))
