"""Two gloo processes on CPU compute what one computes: FSDP2, tensor parallelism, and verl's Ulysses exchange."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
def test_two_ranks_compute_what_one_does(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "gloo_ranks.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "store")], stdout=subprocess.PIPE, env=environment)
        for rank in range(2)
    ]
    found: list[dict[str, Any]] = []
    for rank in ranks:
        out, _ = rank.communicate(timeout=500)
        assert rank.returncode == 0
        found.append(json.loads(out.decode().splitlines()[-1]))
    from mindgpt_plugins.sizing import weights
    from mindgpt_plugins.sizing.model import parse_model_sizes
    from mindgpt_plugins.workbench.parallel import counts

    sys.path.insert(0, str(HERE))
    sys.path.insert(0, str(HERE.parents[2] / "benchmarks" / "parallel"))
    from memory import multimodal

    raw = multimodal(vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2, head_dim=16)
    model = parse_model_sizes(raw, "tiny")
    first, second = found
    for one in found:
        assert one["fsdp2"]["loss"] == pytest.approx(one["reference"], rel=1e-6)
        assert one["fsdp2"]["error"] < 1e-5
        assert one["tensor"]["loss"] == pytest.approx(one["reference"], rel=1e-6)
        assert one["tensor"]["error"] < 1e-5
        # Norms of query and key heads count half of the heads unless their gradients are added up over the ranks.
        assert one["tensor"]["without"] > 0.01
        assert one["ulysses"]["round_trip"] and one["ulysses"]["gradients"]
        assert one["ulysses"]["shape"] == [1, 8, 2, 16]
        assert one["ulysses"]["error"] < 1e-6
    assert first["fsdp2"]["held"] == sum(counts.count_shard_parameters(model, 2).values())
    assert first["fsdp2"]["held"] + second["fsdp2"]["held"] == weights.count_parameters(
        weights.list_model_weights(model)
    )
