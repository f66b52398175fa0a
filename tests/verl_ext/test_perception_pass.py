"""The masked pass with a real tiny Qwen3-VL; the queue and the worker group are doubles that keep verl's shapes."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

pytest.importorskip("transfer_queue")
pytest.importorskip("verl")
from omegaconf import OmegaConf
from transfer_queue import KVBatchMeta
from verl.utils import tensordict_utils as tu

from mindgpt_plugins.advantage.perception_config import PerceptionConfig
from mindgpt_plugins.rewards.sdk import Rollout
from mindgpt_plugins.verl_ext import perception
from mindgpt_plugins.verl_ext.perception import PARTITION, PerceptionPass
from mindgpt_plugins.verl_ext.settings import VerlSettingsError
from mindgpt_plugins.verl_ext.step.scored_reply import ScoredReply

COLOURS = ("red", "green", "blue", "yellow")
SEEN, KNOWN = "what colour is it ?", "what is two plus two ?"


class Queue:
    """TransferQueue's key-value calls on plain dictionaries."""

    def __init__(self):
        self.rows: dict[tuple[str, str], dict] = {}
        self.most = 0

    def kv_batch_put(self, keys, partition_id, fields, tags=None):
        for key, row in zip(keys, fields.unbind(0), strict=True):
            own = {name: copy.deepcopy(getattr(value, "data", value)) for name, value in row.items()}
            self.rows.setdefault((partition_id, key), {}).update(own)
        self.most = max(self.most, sum(partition == PARTITION for partition, _ in self.rows))

    def kv_batch_get(self, keys, partition_id, select_fields):
        found = [self.rows[partition_id, key] for key in keys]
        names = [name for name in select_fields if name in found[0]]
        return tu.list_of_dict_to_tensordict([{name: copy.deepcopy(row[name]) for name in names} for row in found])

    def kv_clear(self, keys, partition_id):
        for key in keys:
            del self.rows[partition_id, key]


class Workers:
    """verl's actor worker group around one model."""

    def __init__(self, queue: Queue, model, ranks: int = 1):
        self.queue, self.model, self.jobs = queue, model, []
        self._dispatch_info = {"actor": list(range(ranks))}

    def compute_log_prob(self, job: KVBatchMeta):
        micro = job.extra_info["micro_batch_size_per_gpu"]
        assert len(job) % (micro * len(self._dispatch_info["actor"])) == 0
        self.jobs.append(job)
        for key in job.keys:
            row = self.queue.rows[job.partition_id, key]
            row["log_probs"] = log_probs(self.model, row["input_ids"], row["multi_modal_inputs"])


def log_probs(model, ids: torch.Tensor, inputs: dict) -> torch.Tensor:
    """As verl's engine returns them: of the whole sequence, each at the place of the token before."""
    types = {"mm_token_type_ids": (ids == model.config.image_token_id).long()[None]} if inputs else {}
    with torch.no_grad():
        logits = model(input_ids=ids[None], **inputs, **types).logits[0]
    shifted = logits[:-1].log_softmax(-1).gather(1, ids[1:, None])[:, 0]
    return torch.cat([shifted, torch.zeros(1)])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A model that has learned to name colours it sees, and a sum it needs no picture for."""
    from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

    from mindgpt_plugins.stages.model.config import ModelConfig
    from mindgpt_plugins.stages.model.run import build_model

    folder: Path = tmp_path_factory.mktemp("model") / "m"
    sizes = ModelConfig(kind="model", tokenizer_from=["x"], hidden_size=64, layers=2, vision_layers=2)
    texts = [f"{SEEN} {KNOWN} answer: {word}" for word in (*COLOURS, "four")]
    torch.manual_seed(0)
    build_model(sizes, texts, folder, 0, 32 * 32, 96 * 96)
    model, processor = Qwen3VLForConditionalGeneration.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    examples = [example(processor, question, colour) for colour in COLOURS for question in (SEEN, KNOWN)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    pad = processor.tokenizer.pad_token_id
    width = max(len(e["input_ids"]) for e in examples)
    ids = torch.stack(
        [torch.nn.functional.pad(e["input_ids"], (0, width - len(e["input_ids"])), value=pad) for e in examples]
    )
    labels = ids.clone()
    for row, e in zip(labels, examples, strict=True):
        row[: len(e["prompts"])] = -100
        row[len(e["input_ids"]) :] = -100
    batch = {
        "input_ids": ids, "attention_mask": (ids != pad).long(), "labels": labels,
        "mm_token_type_ids": (ids == model.config.image_token_id).long(),
        **{k: torch.cat([e["multi_modal_inputs"][k] for e in examples]) for k in ("pixel_values", "image_grid_thw")},
    }  # fmt: skip
    for _ in range(100):
        loss = model(**batch).loss
        if loss < 0.02:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.02
    return SimpleNamespace(model=model.eval(), processor=processor, examples=examples)


def example(processor, question: str, colour: str, text_only: bool = False) -> dict:
    """One row as verl's agent loop stores it."""
    content = [{"type": "text", "text": question}]
    picture = Image.new("RGB", (96, 96), colour)
    if not text_only:
        content.insert(0, {"type": "image"})
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    reply = "answer: " + (colour if question == SEEN else "four")
    made = processor(text=[text], images=None if text_only else [picture], return_tensors="pt")
    prompts = made["input_ids"][0]
    responses = torch.tensor(processor.tokenizer(reply)["input_ids"])
    inputs = {} if text_only else {k: made[k] for k in ("pixel_values", "image_grid_thw")}
    ids = torch.cat([prompts, responses])
    return {
        "input_ids": ids, "position_ids": torch.arange(len(ids)).expand(4, -1).clone(), "prompts": prompts,
        "responses": responses, "response_mask": torch.ones_like(responses), "loss_mask": torch.ones_like(responses),
        "multi_modal_inputs": inputs, "question": question,
    }  # fmt: skip


def step(world, ranks: int = 1, replies: int = 2, bypass: bool = False, kinds: dict | None = None, **config):
    """A stored step: every example with so many replies, one text-only prompt, a padding row; and the pass over it."""
    queue = Queue()
    workers = Workers(queue, world.model, ranks)
    rows = [*world.examples, example(world.processor, KNOWN, "red", text_only=True)]
    keys, fields, tags, made = [], [], [], []
    for p, row in enumerate(rows):
        for session in range(replies):
            keys.append(f"s1p{p:05d}_{session}_0")
            old = log_probs(world.model, row["input_ids"], row["multi_modal_inputs"])[-len(row["responses"]) - 1 : -1]
            fields.append(row | {"old_log_probs": old + (7.0 if bypass else 0.0)})
            tags.append({})
            kind = (kinds or {}).get(p, "verifiable")
            text = Rollout(text="x", target="x", uid=f"row{p}", type=kind, step=1)
            made.append(ScoredReply(f"s1p{p:05d}", session, text, 1.0, {}))
    keys.append("padab_0_0")
    fields.append(fields[-1])
    tags.append({"is_padding": True})
    queue.kv_batch_put(keys, "train", tu.list_of_dict_to_tensordict(fields))
    host = OmegaConf.create(
        {
            "algorithm": {"rollout_correction": {"bypass_mode": bypass}},
            "actor_rollout_ref": {"rollout": {"temperature": 1.0, "log_prob_micro_batch_size_per_gpu": 5}},
        }
    )
    batch = KVBatchMeta(keys=keys, tags=tags, partition_id="train")
    score = PerceptionPass(PerceptionConfig(**config), 0, world.processor, host, workers)
    return SimpleNamespace(queue=queue, workers=workers, batch=batch, replies=made, score=score, rows=rows)


def test_what_is_seen_depends_on_the_picture_and_what_is_known_does_not(world):
    made = step(world)
    found = made.score.run(made.batch, made.replies, 1)
    mean = {q: [] for q in (SEEN, KNOWN)}
    for i, d in found.dependence.items():
        mean[made.rows[i // 2]["question"]].append(d)
    assert len(mean[SEEN]) == len(mean[KNOWN]) == 8  # the text-only prompt is not measured
    seen, known = (sum(values) / 8 for values in mean.values())
    assert seen > 0.02  # 40 % of the colour is still there, and three of four tokens are the phrase
    assert seen > 10 * known
    alpha = torch.tensor(found.alpha)
    assert float(alpha.mean()) == pytest.approx(1.0)
    assert alpha[16:].tolist() == [1.0, 1.0]
    of_seen = [a for i, a in enumerate(found.alpha[:16]) if made.rows[i // 2]["question"] == SEEN]
    of_known = [a for i, a in enumerate(found.alpha[:16]) if made.rows[i // 2]["question"] == KNOWN]
    assert sum(of_seen) > sum(of_known)
    assert found.metrics["perception/measured"] == pytest.approx(16 / 18)


def test_within_a_reply_the_colour_hangs_on_the_picture_and_the_phrase_does_not(world):
    made = step(world, weight=False, token_share=0.2)
    found = made.score.run(made.batch, made.replies, 1)
    hits = []
    for i, reply in enumerate(made.replies[:16]):
        row = made.rows[i // 2]
        if row["question"] == SEEN:
            kept = found.kept[f"{reply.group}_{reply.session}_0"].bool()
            words = world.processor.tokenizer.decode(row["responses"][kept])
            hits.append("answer" not in words and ":" not in words)
    assert len(hits) == 8
    assert all(hits)


def test_the_step_is_only_read_and_nothing_stays_behind(world):
    made = step(world)
    before, extra = copy.deepcopy(made.queue.rows), copy.deepcopy(made.batch.extra_info)
    weights = {name: value.clone() for name, value in world.model.state_dict().items()}
    made.score.run(made.batch, made.replies, 1)
    assert made.queue.most > 0
    assert made.queue.rows.keys() == before.keys()
    for key, row in before.items():
        assert row.keys() == made.queue.rows[key].keys()
        for name, value in row.items():
            now = made.queue.rows[key][name]
            if name == "multi_modal_inputs":
                assert all(torch.equal(now[part], value[part]) for part in value)
            else:
                assert torch.equal(torch.as_tensor(now), torch.as_tensor(value)) if name != "question" else now == value
    assert made.batch.extra_info == extra
    assert all(torch.equal(value, weights[name]) for name, value in world.model.state_dict().items())


def test_a_worker_that_fails_leaves_nothing_behind(world):
    made = step(world)

    def fail(job):
        raise RuntimeError("out of memory")

    made.workers.compute_log_prob = fail
    with pytest.raises(RuntimeError, match="out of memory"):
        made.score.run(made.batch, made.replies, 1)
    assert not [key for key in made.queue.rows if key[0] == PARTITION]


def test_siblings_share_a_mask_and_each_step_has_another(world):
    made = step(world, replies=2)
    masks = []
    keep = made.queue.kv_batch_put
    made.queue.kv_batch_put = lambda keys, partition_id, fields, tags=None: (
        masks.append([row["multi_modal_inputs"]["pixel_values"] for row in fields.unbind(0)]),
        keep(keys, partition_id, fields, tags),
    )
    first = made.score.run(made.batch, made.replies, 1)
    again = made.score.run(made.batch, made.replies, 1)
    other = made.score.run(made.batch, made.replies, 2)
    assert torch.equal(masks[0][0], masks[0][1])
    assert first.alpha == again.alpha
    assert torch.equal(masks[0][0], masks[1][0])
    assert not torch.equal(masks[0][0], masks[2][0])
    black = (masks[0][0] == -1.0).all(dim=1)
    assert int(black.sum()) == 5 * 4  # 60 % of nine visual tokens of four patches
    assert other.alpha != first.alpha


def test_adversarial_prompts_are_left_out(world):
    made = step(world, kinds={0: "adversarial"})
    found = made.score.run(made.batch, made.replies, 1)
    assert found.alpha[:2] == [1.0, 1.0]
    assert set(found.dependence) == set(range(2, 16))
    assert not any(key.startswith("s1p00000") for job in made.workers.jobs for key in job.keys)


@pytest.mark.parametrize("ranks", [1, 3])
def test_ranks_and_micro_batches_divide_evenly_and_change_nothing(world, ranks: int):
    made = step(world, ranks=ranks)
    found = made.score.run(made.batch, made.replies, 1)
    assert made.workers.jobs[0].extra_info["micro_batch_size_per_gpu"] <= 5
    assert len(made.workers.jobs[0]) - 16 < 2 * ranks
    alone = step(world).score
    assert found.alpha == pytest.approx(alone.run(made.batch, made.replies, 1).alpha)


def test_long_steps_go_in_parts(world, monkeypatch):
    made = step(world)
    whole = made.score.run(made.batch, made.replies, 1)
    monkeypatch.setattr(perception, "ROWS", 6)
    parts = made.score.run(made.batch, made.replies, 1)
    assert len(made.workers.jobs) == 1 + 3
    assert parts.alpha == pytest.approx(whole.alpha)


def test_with_the_rollout_engines_log_probs_both_sides_are_scored_by_the_trainer(world):
    plain, made = step(world), step(world, bypass=True)  # there old_log_probs are 7 nats off
    want = plain.score.run(plain.batch, plain.replies, 1)
    found = made.score.run(made.batch, made.replies, 1)
    assert len(made.workers.jobs) == 2
    assert list(found.dependence.values()) == pytest.approx(list(want.dependence.values()), abs=1e-5)


@pytest.fixture(autouse=True)
def queue_of_the_step(monkeypatch):
    """The module sees the queue of the pass that runs."""
    run = PerceptionPass.run

    def with_queue(self, *args):
        monkeypatch.setattr(perception, "tq", self.workers.queue)
        return run(self, *args)

    monkeypatch.setattr(PerceptionPass, "run", with_queue)


def test_a_model_without_patches_is_refused():
    host = OmegaConf.create({})
    with pytest.raises(VerlSettingsError, match="perception: masks patches as Qwen-VL processors lay them out"):
        PerceptionPass(PerceptionConfig(), 0, SimpleNamespace(image_processor=object()), host, None)
