"""``python -m mindgpt_plugins.answers.math_worker``: compares expressions, one JSON line in, one out.

The process behind :mod:`mindgpt_plugins.answers.math_process`. It runs math-verify in its main thread, where the time
limit's signal works, and ends when its input does.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any


def main() -> None:
    """Answer until the input ends."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
    from math_verify.errors import TimeoutException

    logging.disable(logging.CRITICAL)  # it logs every answer it cannot read, and that is an ordinary wrong one
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing else may write between the answers
    kinds = (LatexExtractionConfig(), ExprExtractionConfig())

    def read(text: str, limit: int) -> Any:
        plain = text.strip().strip("$")
        # As LaTeX when it looks like it, else as a plain expression: "x^2/3" inside $…$ reads as both.
        return parse(f"${plain}$", extraction_config=kinds, parsing_timeout=limit)

    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, Any] = {"same": False}
        if "ping" not in question:
            limit = max(1, round(question["limit"]))
            try:
                gold = read(question["want"], limit)
                if gold:
                    answer["same"] = bool(verify(gold, read(question["got"], limit), timeout_seconds=limit))
                else:
                    answer["error"] = "it is no expression"
            except (TimeoutException, RecursionError, MemoryError):
                answer["late"] = True
            except Exception as error:  # SymPy raises anything on odd input; that answer is wrong
                answer["odd"] = f"{type(error).__name__}: {error}"
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
