"""Quality gates: each keeps an item or gives the reason why not."""
