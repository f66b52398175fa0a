"""Estimator ``judge``: an MLLM grades the four dimensions (the paper's way; rubric and expectation ours).

With an endpoint that returns log-probabilities (``logprobs: true`` in its settings) a grade is its expectation
Σ j·p(j) over the grade token's alternatives; else the mean of several sampled answers.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from mindgpt_data.client.request import Answer, Done, Failed, Request, Task
from mindgpt_data.density.score import Picture
from mindgpt_data.io.progress import Progress, ignore_update
from mindgpt_data.schema.rows import SUB_SCORES
from mindgpt_plugins.core.image_size import SENT_PIXELS

if TYPE_CHECKING:
    from mindgpt_data.schema.config import EndpointSettings
    from mindgpt_data.schema.record import ImageRecord

STEP = "density"
TOP = 10
"""Alternatives asked for per token: six grades and some noise."""
RUBRIC = """Grade how much information this picture holds, in four dimensions, each 0 to 5. Judge only what can be seen.

subjects: distinct things one could ask about. 0 none (blank, plain texture), 1 one, 2 two, 3 three or four, 4 five to \
eight, 5 more. Written text is not a subject.
spatial: variety of spatial relations between subjects (beside, above, in front, overlapping, inside, held). 0 fewer \
than two subjects, 1 one kind of relation, such as a plain row, 3 two or three kinds, 5 many kinds or nested things.
text: text that can be read. 0 none, 1 a character or a word, 2 a few words, 3 a sentence, 4 a paragraph or table, 5 a \
full page.
knowledge: domain knowledge that the picture calls for to be understood. 0 none, 1 everyday things, 2 common names or \
signs, 3 school knowledge, 4 a trained person, 5 an expert.

For each dimension give short evidence first (at most 20 words), then the grade. Several pictures are graded as one."""


class Grade(BaseModel):
    """One dimension."""

    evidence: str = Field(max_length=200)
    score: int = Field(ge=0, le=5)


class DensityVerdict(BaseModel):
    """What the judge answers."""

    subjects: Grade
    spatial: Grade
    text: Grade
    knowledge: Grade


class Judge:
    """Grades of the MLLM at ``endpoints.judge``; many requests are under way at once."""

    def __call__(
        self,
        picture: Picture,
        *,
        samples: int = 3,
        max_pixels: int = SENT_PIXELS,
        endpoints: Sequence[Mapping[str, Any]] = (),
    ) -> dict[str, float]:
        """Grade one picture.

        Args:
            picture: RGB.
            samples: answers averaged when no endpoint returns log-probabilities.
            max_pixels: the picture is scaled down to this when sent.
            endpoints: as in the settings; in a step they come from ``endpoints.judge``.

        Raises:
            ValueError: no endpoint is given, or none gave a valid answer.
        """
        import tempfile

        from mindgpt_data.client.images import encode_image
        from mindgpt_data.client.run import ask_all
        from mindgpt_data.schema.config import EndpointSettings

        servers = [EndpointSettings.model_validate(dict(endpoint)) for endpoint in endpoints]
        url = encode_image(picture.image, max_pixels)
        sampled = 1 if _has_logprobs(servers) else samples
        task = Task("picture", "", lambda: build_judge_request([url], sampled), compute_sub_scores)
        with tempfile.TemporaryDirectory() as folder:
            (outcome,) = ask_all([task], step=STEP, store=Path(folder, "store.sqlite"), endpoints=servers)
        if isinstance(outcome, Failed):
            raise ValueError(f"the judge gave no usable answer: {outcome.error}")
        return outcome.value

    def score_all(
        self,
        records: Sequence[ImageRecord],
        *,
        endpoints: Sequence[EndpointSettings],
        store: Path,
        samples: int = 3,
        max_pixels: int = SENT_PIXELS,
        progress: Progress = ignore_update,
    ) -> Iterator[Done[dict[str, float]] | Failed]:
        """Grade many records, in the order answers come; stored answers are not paid for again."""
        from mindgpt_data.client.run import ask_all

        tasks = self.tasks(records, 1 if _has_logprobs(endpoints) else samples, max_pixels)
        return ask_all(tasks, step=STEP, store=store, endpoints=endpoints, progress=progress, total=len(records))

    def tasks(self, records: Iterable[ImageRecord], samples: int, max_pixels: int) -> Iterator[Task[dict[str, float]]]:
        """One task per record; pictures are read when a request is built."""
        from mindgpt_data.client.images import make_data_url

        for record in records:
            paths = [Path(path) for path in record.paths]
            asked = json.dumps([RUBRIC, record.content, len(paths), samples, max_pixels])

            def build(paths: list[Path] = paths) -> Request:
                return build_judge_request([make_data_url(path, max_pixels) for path in paths], samples)

            yield Task(record.image, hashlib.sha256(asked.encode()).hexdigest(), build, compute_sub_scores)


judge = Judge()
"""Registered as estimator ``judge``."""


def build_judge_request(urls: Sequence[str], samples: int) -> Request:
    """The question about one record's pictures; a single greedy sample asks for log-probabilities."""
    from mindgpt_data.client.structured import make_answer_schema

    pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content = [*pictures, {"type": "text", "text": RUBRIC}]
    return Request(
        messages=[{"role": "user", "content": content}],
        schema=make_answer_schema(DensityVerdict),
        max_tokens=600,
        temperature=0.0 if samples == 1 else 0.7,
        n=samples,
        top_logprobs=TOP if samples == 1 else 0,
        seed=0,
    )


def compute_sub_scores(answer: Answer) -> dict[str, float]:
    """Sub-scores from an answer: expectations where there are log-probabilities, else means over valid samples.

    Raises:
        ValueError: no sample is a valid verdict.
    """
    from dataclasses import replace

    from mindgpt_data.client.structured import make_answer_parser

    verdicts, problem = [], ""
    parse = make_answer_parser(DensityVerdict)
    for text in answer.texts:
        try:
            verdicts.append(parse(replace(answer, texts=(text,))))
        except ValueError as error:
            problem = str(error)
    if not verdicts:
        raise ValueError(problem or "no answer")
    plain = {name: sum(getattr(v, name).score for v in verdicts) / len(verdicts) for name in SUB_SCORES}
    if len(answer.texts) > 1 or not answer.logprobs:
        return plain
    return {name: _or(compute_expected_score(answer.logprobs[0], name), plain[name]) for name in SUB_SCORES}


def compute_expected_score(tokens: Sequence[Mapping[str, Any]], dimension: str) -> float | None:
    """Σ j·p(j) of the grade of ``dimension`` over the alternatives of its token, p scaled to sum 1.

    Args:
        tokens: the answer's tokens in order: ``{"token", "logprob", "top": {token: logprob}}``.
        dimension: whose ``score`` in the JSON text.

    Returns:
        The expectation, or None when the grade cannot be found or no alternative is a grade.
    """
    text = "".join(token["token"] for token in tokens)
    # Evidence is a JSON string: quotes in it are escaped, so it is skipped as a whole.
    string = r'"(?:[^"\\]|\\.)*"'
    found = re.search(rf'"{dimension}"\s*:\s*\{{\s*(?:"evidence"\s*:\s*{string}\s*,\s*)?"score"\s*:\s*([0-5])', text)
    if found is None:
        return None
    start = 0
    for token in tokens:
        if start <= found.start(1) < start + len(token["token"]):
            return _expectation({token["token"]: token["logprob"], **token["top"]})
        start += len(token["token"])
    return None


def _expectation(alternatives: Mapping[str, float]) -> float | None:
    weights = dict.fromkeys(range(6), 0.0)
    for token, logprob in alternatives.items():
        grade = token.strip(' \n\t:",}')
        if grade in ("0", "1", "2", "3", "4", "5"):
            weights[int(grade)] += math.exp(logprob)
    total = sum(weights.values())
    return sum(grade * weight for grade, weight in weights.items()) / total if total > 0 else None


def _has_logprobs(endpoints: Sequence[EndpointSettings]) -> bool:
    return bool(endpoints) and all(endpoint.logprobs for endpoint in endpoints)


def _or(value: float | None, fallback: float) -> float:
    return fallback if value is None else value
