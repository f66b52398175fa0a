"""Image → topics: down the knowledge tree by similarity or by a judge, then the best few (stage: the paper's)."""
