"""Know before the cluster: a recipe's own run in small on this machine, and what the real one costs."""
