"""Our half of the trainer on a TransferQueue that is a dictionary; verl's half is scripted."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

pytest.importorskip("transfer_queue")

from mindgpt_plugins.guards.divergence import TrainingDiverged, read_divergence  # noqa: E402
from mindgpt_plugins.guards.monitor import Checkpoints  # noqa: E402
from mindgpt_plugins.verl_ext import guest, replies  # noqa: E402
from mindgpt_plugins.verl_ext.settings import VerlSettingsError  # noqa: E402
from mindgpt_plugins.verl_ext.step.hybrid import RolloutError  # noqa: E402
from mindgpt_plugins.verl_ext.step.reward_fields import ASKED, ERROR, LOG, PID, PREFIX  # noqa: E402


class Queue:
    """What we use of ``transfer_queue``: columns of rows, tensors of which come back nested."""

    def __init__(self):
        self.rows: dict[str, dict] = {}

    def kv_batch_get(self, *, keys, partition_id, select_fields):
        columns = {name: [self.rows[key][name] for key in keys] for name in select_fields}
        return {
            name: torch.nested.as_nested_tensor(column, layout=torch.jagged)
            if isinstance(column[0], torch.Tensor)
            else column
            for name, column in columns.items()
        }

    def kv_batch_put(self, *, keys, partition_id, fields):
        for name in fields.keys():  # noqa: SIM118
            for key, value in zip(keys, fields[name].unbind(), strict=True):
                self.rows[key][name] = value


class Batch:
    partition_id = "train"

    def __init__(self, keys: list[str], tags: list[dict]):
        self.keys, self.tags, self.extra_info = keys, tags, {}


class Host:
    """Stands where verl's trainer stands."""

    def __init__(self, config):
        self.config, self.global_steps, self.total_training_steps = config, 1, 4
        self.parameter_sync_step, self.use_reference_policy = 1, False
        self.train_dataset = SimpleNamespace(dataframe=SimpleNamespace(column_names=[]))
        self.tokenizer = SimpleNamespace(batch_decode=lambda rows, **_: [" ".join(map(str, row)) for row in rows])
        self.actor_rollout_wg = SimpleNamespace(_dispatch_info={"actor": [0]})

    def _compute_advantage(self, batch, metrics):
        return batch

    def _update_actor(self, batch, metrics):
        c = self.config.actor_rollout_ref
        metrics["rows"] = c.actor.ppo_mini_batch_size * c.rollout.n
        return batch

    def _get_required_batch_multiple(self, dp_size):
        return 99

    def _val_metrics_update(self, data_sources, sample_uids, infos):
        return {"validated": len(sample_uids)}


class Trainer(guest.VerlTrainerMixin, Host):
    mode = "sync"


@pytest.fixture
def queue(monkeypatch) -> Queue:
    queue = Queue()
    monkeypatch.setattr(guest, "tq", queue)
    monkeypatch.setattr(replies, "tq", queue)
    return queue


def trainer(tmp_path, prompts: int = 2, cls=Trainer, **settings) -> Trainer:
    settings = {
        "rewards": {"accuracy": {}, "conciseness": {"weight": 0.2, "options": {"budget": 10}}},
        "advantage": {"k": 2, "lambda": 0.0},
        "loaded_path": str(tmp_path / "loaded.json"),
    } | settings
    host = {
        "algorithm": {"adv_estimator": "grpo", "use_kl_in_reward": False},
        "data": {"train_batch_size": prompts},
        "reward": {
            "reward_model": {"enable": False}, "custom_reward_function": {"path": None},
            "reward_manager": {"source": "register", "name": "naive", "module": {"path": None}},
        },
        "actor_rollout_ref": {
            "actor": {"ppo_mini_batch_size": prompts, "ppo_micro_batch_size_per_gpu": 4, "use_dynamic_bsz": False},
            "ref": {"log_prob_micro_batch_size_per_gpu": None, "log_prob_use_dynamic_bsz": False},
            "rollout": {
                "temperature": 1.0,
                "top_p": 1.0,
                "top_k": -1,
                "n": 2, "name": "vllm", "log_prob_micro_batch_size_per_gpu": 6, "log_prob_use_dynamic_bsz": False,
                "agent": {"default_agent_loop": "mine", "agent_loop_config_path": None},
            },
        },
        "trainer": {
            "device": "cpu",
            "v1": {"trainer_mode": "mindgpt_sync", "sampler": {}, "mindgpt_sync": {"settings": settings}},
        },
    }  # fmt: skip
    return cls(OmegaConf.create(host))


def add(queue: Queue, key: str, score: float, tokens: int = 3, asked: int = 2, **fields) -> tuple[str, dict]:
    info = {"score": score, PREFIX + "accuracy": score, ERROR: "", LOG: "{}", PID: 77} | fields.pop("info", {})
    mask = torch.ones(tokens, dtype=torch.int64)
    queue.rows[key] = {
        "responses": torch.arange(1, tokens + 1), "response_mask": mask, "loss_mask": mask.clone(),
        "old_log_probs": torch.zeros(tokens),  # a certain policy: equal replies are no fault
        "extra_fields": {"reward_extra_info": info}, "extra_info": {"uid": "row", "image": ["a.png"], "boxes": None},
        "reward_model": {"ground_truth": "1"}, "data_source": "s", ASKED: {"n": asked, "step": 4},
    } | fields  # fmt: skip
    return key, {"global_steps": 1}


def padding(queue: Queue, key: str) -> tuple[str, dict]:
    add(queue, key, 0.0, tokens=1)
    queue.rows[key]["response_mask"] = torch.zeros(1, dtype=torch.int64)
    return key, {"global_steps": 1, "is_padding": True}


def batch(*rows: tuple[str, dict]) -> Batch:
    return Batch([key for key, _ in rows], [tag for _, tag in rows])


def values(queue: Queue, field: str) -> dict[str, list[float]]:
    return {key: row[field].tolist() for key, row in queue.rows.items()}


def test_sessions_padding_and_rewritten_masks(queue, tmp_path):
    t = trainer(tmp_path)
    rows = batch(
        add(queue, "a_0_0", 0.0, tokens=2), add(queue, "a_0_1", 1.0), add(queue, "a_1_0", 0.0),
        add(queue, "b_0_0", 0.0), add(queue, "b_1_0", 1.0), padding(queue, "pad_0_0"),
    )  # fmt: skip
    queue.rows["b_1_0"]["response_mask"] = torch.tensor([1, 0, 1])  # as rollout correction leaves it
    metrics: dict = {}
    t._compute_advantage(rows, metrics)
    got = values(queue, "advantages")
    assert got["a_0_0"] == [0.5] * 2  # the score is the final trajectory's
    assert got["a_0_1"] == [0.5] * 3
    assert got["a_1_0"] == [-0.5] * 3
    assert got["b_1_0"] == [0.5, 0.0, 0.5]
    assert got["pad_0_0"] == [0.0]
    assert values(queue, "returns") == got
    assert metrics["group/size"] == 2
    assert metrics["group/dropped_replies"] == 0
    assert {row["key"] for row in t._dump.values()} == {"a_0_1", "a_1_0", "b_0_0", "b_1_0"}
    assert json.loads((tmp_path / "loaded.json").read_text())["reward"]["pids"] == [77]


def test_a_dropped_group_leaves_the_loss_and_its_denominators(queue, tmp_path):
    t = trainer(tmp_path, advantage={"k": 2, "lambda": 0.0, "filter": {"epsilon": 1e-6}})
    rows = batch(*(add(queue, f"{g}_{i}_0", float(i) if g == "a" else 0.0) for g in "ab" for i in (0, 1)))
    metrics: dict = {}
    t._compute_advantage(rows, metrics)
    assert metrics["group/dropped_replies"] == 2
    for field in ("response_mask", "loss_mask"):
        assert values(queue, field) == {k: [int(k[0] == "a")] * 3 for k in rows.keys}
    assert values(queue, "advantages")["b_0_0"] == [0.0] * 3
    assert [row["dropped"] for row in t._dump.values()] == [False, False, True, True]


def test_an_update_of_dropped_groups_only_keeps_its_tokens(queue, tmp_path):
    t = trainer(tmp_path, advantage={"k": 2, "lambda": 0.0, "filter": {"epsilon": 1e-6}})
    t.config.actor_rollout_ref.actor.ppo_mini_batch_size = 1  # group a is one update, group b the next
    rows = batch(*(add(queue, f"{g}_{i}_0", float(i) if g == "a" else 0.0) for g in "ab" for i in (0, 1)))
    metrics: dict = {}
    t._compute_advantage(rows, metrics)
    assert metrics["group/dropped_replies"] == 0
    assert values(queue, "loss_mask")["b_0_0"] == [1] * 3
    assert values(queue, "advantages")["b_0_0"] == [0.0] * 3


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.0, 0.0], [0.0, 0.0]), ([1.0, 1.0], [0.0, 0.0])],
)
def test_groups_without_signal_get_nothing(queue, tmp_path, scores, expected):
    t = trainer(tmp_path, prompts=1)
    t._compute_advantage(batch(*(add(queue, f"a_{i}_0", s) for i, s in enumerate(scores))), {})
    assert [v[0] for v in values(queue, "advantages").values()] == expected


def test_a_group_of_one_gets_nothing_and_an_empty_reply_is_no_crash(queue, tmp_path):
    t = trainer(tmp_path, prompts=2)
    rows = batch(add(queue, "a_0_0", 1.0, asked=1), add(queue, "b_0_0", 1.0), add(queue, "b_1_0", 0.0, tokens=0))
    t._compute_advantage(rows, {})
    assert values(queue, "advantages") == {"a_0_0": [0.0] * 3, "b_0_0": [0.5] * 3, "b_1_0": []}


def test_components_that_did_not_score_stay_null(queue, tmp_path):
    t = trainer(tmp_path, prompts=1, rewards={"accuracy": {}, "format": {}})
    rows = [add(queue, f"a_{i}_0", 1.0, info={PREFIX + "format": math.nan}) for i in (0, 1)]
    metrics: dict = {}
    t._compute_advantage(batch(*rows), metrics)
    assert [row["components"]["format"] for row in t._dump.values()] == [None, None]
    assert metrics["reward/format/scored"] == 0.0


def test_a_failed_reward_and_a_foreign_scorer_stop_the_step(queue, tmp_path):
    t = trainer(tmp_path, prompts=1)
    failed = json.dumps({"cause": "ValueError: no", "sample": {"uid": "u9"}, "traceback": "Traceback…\n"})
    rows = batch(add(queue, "a_0_0", 1.0), add(queue, "a_1_0", 0.0, info={ERROR: failed}))
    with pytest.raises(RolloutError, match=r'(?s)1 of 2 replies.*ValueError: no.*"uid": "u9".*No update was made'):
        t._compute_advantage(rows, {})
    queue.rows["a_1_0"]["extra_fields"] = {"reward_extra_info": {"score": 1.0}}
    with pytest.raises(VerlSettingsError, match="1 replies were scored by other code than ours"):
        t._compute_advantage(rows, {})
    assert "advantages" not in queue.rows["a_0_0"]
    with pytest.raises(RolloutError, match="1 of 1 replies"):
        t._val_metrics_update(["s"], ["u"], {ERROR: [failed]})
    assert t._val_metrics_update(["s"], ["u"], {ERROR: [""]}) == {"validated": 1}


def test_a_missing_sibling_stops_the_step(queue, tmp_path):
    t = trainer(tmp_path, prompts=1)
    with pytest.raises(RolloutError, match="'a': '2 of 5'"):
        t._compute_advantage(batch(*(add(queue, f"a_{i}_0", 1.0, asked=5) for i in (0, 1))), {})


def test_uneven_groups_make_one_update_of_the_rows_there_are(tmp_path):
    plain, uneven = trainer(tmp_path), trainer(tmp_path, group_size_by_difficulty={0.5: 5})
    assert plain._get_required_batch_multiple(1) == 99
    assert uneven._get_required_batch_multiple(2) == 24  # 2 workers × lcm(4, 6)
    for t, rows in ((plain, 4), (uneven, 12)):
        metrics: dict = {}
        t._update_actor(batch(*((f"a_{i}_0", {}) for i in range(12))), metrics)
        assert metrics["rows"] == rows
        assert (t.config.actor_rollout_ref.actor.ppo_mini_batch_size, t.config.actor_rollout_ref.rollout.n) == (2, 2)


def test_verl_is_pointed_at_our_rewards_and_other_agent_loops_are_left(tmp_path):
    t = trainer(tmp_path)
    assert t.config.trainer.v1.trainer_mode == "sync"
    assert t.config.reward.reward_manager.name == "MindGPTRewardManager"
    assert t.config.actor_rollout_ref.rollout.agent.default_agent_loop == "mine"


def prompts_of(t: Trainer, difficulty: list[float | None]):
    from tensordict import TensorDict
    from verl.utils import tensordict_utils as tu

    def fetch(self, num_prompts=None):
        found = TensorDict({"x": torch.zeros(len(difficulty), 1)}, batch_size=len(difficulty))
        tu.assign_non_tensor(found, extra_info=[{"difficulty": d} for d in difficulty], uid=["?"] * len(difficulty))
        return found

    Host._next_train_batch = fetch
    try:
        return t._next_train_batch()
    finally:
        del Host._next_train_batch


def column(found, name: str) -> list:
    return [getattr(item, "data", item) for item in found[name]]


def test_each_prompt_asks_for_its_number_and_gets_an_id_of_its_place(tmp_path):
    t = trainer(tmp_path, group_size_by_difficulty={0.5: 5})
    found = prompts_of(t, [0.1, 0.9])
    assert column(found, "__rollout_n__") == [2, 5]
    assert column(found, ASKED) == [{"n": 2, "step": 7}, {"n": 5, "step": 7}]
    assert column(found, "uid") == ["s1p00000", "s1p00001"]
    assert column(prompts_of(t, [0.1]), "uid") == ["s1p00002"]  # a refill of the same step
    t.global_steps = 2
    assert column(prompts_of(t, [0.1]), "uid") == ["s2p00000"]
    assert "__rollout_n__" not in prompts_of(trainer(tmp_path), [0.1]).keys()  # noqa: SIM118
    with pytest.raises(VerlSettingsError, match="1 of 2 prompts have no difficulty"):
        prompts_of(t, [0.1, None])


def test_no_total_is_announced_where_more_prompts_may_follow(tmp_path):
    t = trainer(tmp_path)
    t.mode = "colocate_async"
    assert column(prompts_of(t, [0.1]), ASKED) == [{"n": 2, "step": 0}]


class Stepping(Host):
    """verl's trainer as far as a step, its checkpoints and its dump go."""

    figures: dict = {}
    replied: dict = {}
    dumped = False

    def step(self, metrics, timing_raw):
        metrics.update({"actor/loss": -0.1, "actor/grad_norm": 1.0, "reward/none/mean": math.nan} | self.figures)
        self._dump.update(self.replied)
        return "batch"

    def _load_checkpoint(self):
        self.global_steps = 4

    def _dump_generations(self, **columns):
        self.dumped = columns["dump_path"]

    def _shutdown_dump_executor(self):
        self.flushed = self.dumped


class SteppingTrainer(guest.VerlTrainerMixin, Stepping):
    mode = "sync"


def stepping(tmp_path, **settings) -> SteppingTrainer:
    t = trainer(tmp_path, cls=SteppingTrainer, metrics_path=str(tmp_path / "metrics.jsonl"), **settings)
    saved = tmp_path / "checkpoints"
    OmegaConf.update(t.config, "trainer.rollout_data_dir", str(tmp_path / "rollouts"), force_add=True)
    t.monitor.checkpoints = Checkpoints(saved, "global_step_")
    for step in (2, 4):
        (saved / f"global_step_{step}" / "actor").mkdir(parents=True)
        (saved / f"global_step_{step}" / "data.pt").touch()
    (saved / "latest_checkpointed_iteration.txt").write_text("4")
    OmegaConf.update(t.config, "trainer.default_local_dir", str(saved), force_add=True)
    return t


def test_a_step_that_is_not_finite_stops_before_its_checkpoint(tmp_path):
    t = stepping(tmp_path)
    t._load_checkpoint()
    t.global_steps = 5
    assert t.step({}, {}) == "batch"  # a figure of ours that is NaN is one without replies
    t.global_steps, t.figures = 6, {"actor/grad_norm": math.nan}
    with pytest.raises(TrainingDiverged, match=r"(?s)actor/grad_norm is nan at step 6.*global_step_4\n.*clip_grad"):
        t.step({}, {})
    assert [line["step"] for line in map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())] == [5, 6]
    assert read_divergence(tmp_path).finite == 5


def test_a_resumed_run_that_diverges_at_once_goes_one_checkpoint_further_back(tmp_path):
    t = stepping(tmp_path)
    t._load_checkpoint()
    t.global_steps, t.figures = 5, {"actor/entropy": math.nan}
    with pytest.raises(TrainingDiverged, match="actor/entropy is nan at step 5"):
        t.step({}, {})
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == [
        "diverged-global_step_4", "global_step_2", "latest_checkpointed_iteration.txt",
    ]  # fmt: skip
    assert (tmp_path / "checkpoints" / "latest_checkpointed_iteration.txt").read_text() == "2"  # what verl resumes from


def test_the_replies_of_the_step_are_kept_and_its_rows_named(tmp_path):
    t = stepping(tmp_path)
    t.figures = {"actor/loss": math.inf}
    row = {"row": "r1", "group": "g", "session": 0, "prompt": "p", "reply": "r", "target": "t", "score": 0.0}
    t.replied = {"k": row}
    with pytest.raises(TrainingDiverged, match="Rows of that step: r1"):
        t.step({}, {})
    assert t.flushed == str(tmp_path / "rollouts")


def test_a_guard_of_rl_warns_or_stops(tmp_path):
    t = stepping(tmp_path, guard={"steps": 2, "reward_collapse": "stop", "length_explosion": "warn"})
    t.global_steps, t.figures = 1, {"advantage/abs_mean": 0.0}
    t.step({}, {})
    t.global_steps = 2
    with pytest.raises(TrainingDiverged, match=r"no reply had an advantage for 2 steps.* at step 2"):
        t.step({}, {})
    assert (tmp_path / "checkpoints" / "global_step_4").is_dir()
