"""What differs between families of models, found from a model's own processor, never from its name."""

from mindgpt_plugins.families.counting import PictureCounter as PictureCounter
from mindgpt_plugins.families.errors import FamilyError as FamilyError
from mindgpt_plugins.families.family import ModelFamily as ModelFamily
from mindgpt_plugins.families.family import find_family as find_family
from mindgpt_plugins.families.family import load_family as load_family
from mindgpt_plugins.families.features import PromptFeatures as PromptFeatures
from mindgpt_plugins.families.loading import load_generator as load_generator
from mindgpt_plugins.families.loading import load_processor as load_processor
from mindgpt_plugins.families.loading import load_tokenizer as load_tokenizer
from mindgpt_plugins.families.pictures import PixelLimits as PixelLimits
from mindgpt_plugins.families.settings import AreaRule as AreaRule
from mindgpt_plugins.families.settings import has_vision as has_vision
from mindgpt_plugins.families.settings import read_area_rule as read_area_rule
from mindgpt_plugins.families.thinking import Thinking as Thinking
from mindgpt_plugins.families.thinking import list_template_switches as list_template_switches
