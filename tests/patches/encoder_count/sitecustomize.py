"""On ``PYTHONPATH`` of a test's processes: notes in the file ``ENCODED`` what reaches the vision tower's forward.

One line per call: the tower's output width, pictures, and distinct pictures among them. It is below any patch, so it
sees what the tower really computes.
"""

import functools
import json
import os

from mindgpt_patches.guard import run_after_import


def _note():
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel as Tower

    inner = Tower.forward

    @functools.wraps(inner)  # so that the patch knows the host's source
    def forward(self, hidden_states, grid_thw, **kwargs):
        grids = grid_thw.tolist()
        pictures = hidden_states.detach().split([t * h * w for t, h, w in grids])
        distinct = {(*grid, picture.float().numpy().tobytes()) for grid, picture in zip(grids, pictures, strict=True)}
        with open(os.environ["ENCODED"], "a") as file:
            file.write(json.dumps([self.config.out_hidden_size, len(pictures), len(distinct)]) + "\n")
        return inner(self, hidden_states, grid_thw, **kwargs)

    Tower.forward = forward


run_after_import("transformers.models.qwen3_vl.modeling_qwen3_vl", _note)
