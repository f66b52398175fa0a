"""What every reward must do, as tests."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from mindgpt_plugins.core.registry import RegistryError, check_options, check_signature, get_registered
from mindgpt_plugins.rewards.entry import read_scores
from mindgpt_plugins.rewards.execution import Call
from mindgpt_plugins.rewards.sdk import Group, RewardError, Rollout, Score, Spec, find_reward_spec
from mindgpt_plugins.testing.samples import make_sample_groups, make_sample_rollouts

_FRESH = """
import pickle, sys
from importlib import import_module
from mindgpt_plugins.rewards.sdk import find_reward_spec
module, name = sys.argv[1:3]
function = getattr(import_module(module), name)
assert pickle.loads(bytes.fromhex(sys.argv[3])) is function
print(find_reward_spec(name, function).name)
"""


class RewardContract:
    """Subclass it as ``Test…`` and set ``reward``; needs ``pytest``."""

    reward: ClassVar[Any] = None
    options: ClassVar[Mapping[str, Any]] = {}
    """Options to call it with; those without a default must be here."""
    examples: ClassVar[Sequence[tuple[Rollout | Group, Any]]] = ()
    """Subjects with the value they must get: a number, None, or for a group a list of those."""
    seconds: ClassVar[float] = 1.0
    """CPU time of this process for one call, however long the reply, once a first call has loaded what it needs.

    Time spent waiting (for a judge's server, for another process) does not count: how long that takes depends on the
    machine, and a run bounds it with ``timeout``.
    """

    @pytest.fixture
    def spec(self) -> Spec:
        """What the decorator recorded."""
        return find_reward_spec(_name(self._function()), self._function())

    def test_it_is_registered_with_options_by_keyword(self, spec: Spec) -> None:
        """Decorated, found by its name, one positional parameter, and every option has a default or is given."""
        function = self._function()
        assert get_registered("reward", spec.name) is function, f"reward {spec.name!r} is another function"
        check_signature("reward", spec.name, function)
        check_options("reward", spec.name, self.options)
        missing = [
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name not in self.options
        ]
        assert not missing, f"options without a default: {missing}; give them in `options` of the test class"

    def test_unknown_options_are_refused(self, spec: Spec) -> None:
        """A misspelt option in a recipe must not be swallowed (by ``**kwargs``, for instance)."""
        with pytest.raises(RegistryError, match="no option 'mindgpt_no_such_option'"):
            check_options("reward", spec.name, ["mindgpt_no_such_option"])

    def test_scores_are_finite_in_range_and_can_be_logged(self, spec: Spec) -> None:
        """For every sort of reply: None, or a finite value of its role; empty, Unicode and endless texts included."""
        for name, subject in self._subjects(spec).items():
            for score in self._scores(spec, subject, name):
                if score is not None:
                    json.dumps(dict(score.log), default=str)

    def test_it_is_deterministic(self, spec: Spec) -> None:
        """The same reply gets the same value and log, also after other replies: resumed runs must be equal."""
        subjects = self._subjects(spec)
        first = {name: self._scores(spec, subject, name) for name, subject in subjects.items()}
        again = {name: self._scores(spec, subjects[name], name) for name in reversed(list(subjects))}
        assert first == again

    def test_it_keeps_within_its_time(self, spec: Spec) -> None:
        """No reply, however long, holds up a step: CPU time is measured, so a busy machine fails nobody."""
        subjects = self._subjects(spec)
        for name, subject in subjects.items():
            self._scores(spec, subject, name)  # loads models and tables; a run does that once, before step 1
        for name, subject in subjects.items():
            cpu, clock = time.process_time(), time.perf_counter()
            self._scores(spec, subject, name)
            # Threads that spin beside each other count double as CPU time, and a busy machine stretches the clock.
            spent = min(time.process_time() - cpu, time.perf_counter() - clock)
            assert spent <= self.seconds, f"{name}: took {spent:.2f} s of CPU, more than {self.seconds} s"

    def test_group_order_does_not_matter(self, spec: Spec) -> None:
        """Reversed replies of a group get reversed scores."""
        if spec.scope != "group":
            pytest.skip("scores one reply at a time")
        for name, group in make_sample_groups().items():
            turned = Group(group.rollouts[::-1], group.scores[::-1])
            forth, back = self._scores(spec, group, name), self._scores(spec, turned, name)[::-1]
            assert [s and s.value for s in forth] == pytest.approx([s and s.value for s in back], nan_ok=False), name

    def test_it_can_be_imported_by_another_process(self, spec: Spec) -> None:
        """Ray workers import it by its module: nothing may hang on this process."""
        function = self._function()
        code = [sys.executable, "-c", _FRESH, function.__module__, function.__qualname__, pickle.dumps(function).hex()]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(code, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert done.returncode == 0, f"{function.__module__} in a fresh process: {done.stderr}"
        assert done.stdout.split() == [spec.name]

    def test_examples(self, spec: Spec) -> None:
        """The values its author promises."""
        if not self.examples:
            pytest.skip("no examples given")
        for subject, wanted in self.examples:
            found = [s and s.value for s in self._scores(spec, subject, repr(subject)[:200])]
            assert found == pytest.approx(wanted if spec.scope == "group" else [wanted]), repr(subject)[:500]

    def _function(self) -> Any:
        # Through the class's own dict: as an attribute of an instance a function would become a method.
        function = inspect.getattr_static(type(self), "reward")
        if function is None:
            pytest.skip("no reward: pass --mindgpt-reward module:name, or set `reward` in a subclass")
        return function.__func__ if isinstance(function, staticmethod) else function

    def _subjects(self, spec: Spec) -> Mapping[str, Rollout | Group]:
        return make_sample_groups() if spec.scope == "group" else make_sample_rollouts()

    def _scores(self, spec: Spec, subject: Rollout | Group, name: str) -> list[Score | None]:
        replies = [subject] if isinstance(subject, Rollout) else subject.rollouts
        try:
            return read_scores(spec, Call(self._function(), self.options).start(subject).result, replies)
        except RewardError as error:
            pytest.fail(f"{name}: {error}")


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", function))
