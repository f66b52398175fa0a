"""Quality gates: each keeps an item or gives the reason why not.

Kind ``gate`` holds two shapes of functions, both with keyword-only options that ``{name: <gate>, options: {…}}`` in
``filter.gates`` sets:

* an item gate, ``(item: Item, *, …) -> str | None``, judges one row by itself: the shape for a rule of your own;
* a batch gate, ``(batch: Batch, *, …) -> Iterator[GateVerdict]``, marked with
  :func:`~mindgpt_data.gates.batch.mark_batch_gate`, sees all rows at once and may ask a model. It yields a verdict per
  row it judges; rows without one are kept.
"""
