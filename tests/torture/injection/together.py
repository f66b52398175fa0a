"""Of two runs one does the work, the other finds it done or says in one line that the folder is in use."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from injection.kinds import Kind
from injection.place import Straight, end
from injection.trial import Trial


def try_two_at_once(kind: Kind, straight: Straight, folder: Path, moments: random.Random) -> Iterator[Trial]:
    """Start two at the same moment, and one in the middle of the other."""
    for number, share in enumerate((0.0, 0.5) if kind.thorough else (0.0,)):
        place = straight.lay_out(kind, folder / str(number))
        first = place.start()
        first.wait(share * straight.seconds[kind.stage])
        second = place.start()
        both = [end(first), end(second)]
        failures = [failure for one in both for failure in one.failures]
        refused = [one for one in both if one.status != 0]
        if len(refused) == 2:
            failures.append("lost: neither did the work")
        failures += [
            f"silent: the other one said {one.said[-300:]!r}"
            for one in refused
            if "in use by another run" not in one.said
        ]
        failures += place.compare(kind, straight)
        attempts = json.loads((place.locate_stage(kind.stage) / "stage.json").read_text())["attempts"]
        if attempts != 1:
            failures.append(f"lost: the stage was started {attempts} times")
        failures += place.finish().must_succeed()  # finds everything done
        yield Trial("at the same moment" if not share else "one in the middle of the other", failures)
        shutil.rmtree(place.folder)
