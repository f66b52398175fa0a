"""Stage ``rejection_sampling``: a model's own right answers as a training set."""
