"""Which parallel layouts a model can be trained in, and what each would need: ``mindgpt plan parallel``.

Imports no trainer and no torch: everything follows from a ``config.json`` (:mod:`.config`), the shapes of the weights
(:mod:`.weights`), the rules of the trainers (:mod:`.rules`) and the formulas of :mod:`.activations` and :mod:`.memory`.
"""
