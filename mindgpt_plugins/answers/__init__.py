"""The only parser of answers in the product: golds, replies, options, boxes, and the verdict on them.

One module per answer type (``text``, ``choice``, ``yesno``, ``number``, ``unit``, ``math``, ``json_value``, ``box``),
and ``references`` for golds that are several; ``extract`` finds the final answer of a reply, ``judging`` gives the
verdict. Beside the standard library it imports `core.json_text`, which limits nesting, and nothing else.
"""

from mindgpt_plugins.answers.box import BOX_CONVENTIONS as BOX_CONVENTIONS
from mindgpt_plugins.answers.errors import GoldError as GoldError
from mindgpt_plugins.answers.errors import MathError as MathError
from mindgpt_plugins.answers.extract import extract_answer as extract_answer
from mindgpt_plugins.answers.judging import ANSWER_TYPES as ANSWER_TYPES
from mindgpt_plugins.answers.judging import DEFAULTS as DEFAULTS
from mindgpt_plugins.answers.judging import JudgeOptions as JudgeOptions
from mindgpt_plugins.answers.judging import Verdict as Verdict
from mindgpt_plugins.answers.judging import compare_answers as compare_answers
from mindgpt_plugins.answers.judging import judge_answer as judge_answer
from mindgpt_plugins.answers.judging import parse_gold as parse_gold
from mindgpt_plugins.answers.options import options_of as options_of
from mindgpt_plugins.answers.reasoning import strip_reasoning as strip_reasoning
from mindgpt_plugins.answers.references import as_gold as as_gold
from mindgpt_plugins.answers.references import is_float_of_whole_number as is_float_of_whole_number
from mindgpt_plugins.answers.text import normalise_text as normalise_text
