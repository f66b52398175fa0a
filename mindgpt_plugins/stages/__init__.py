"""One folder per stage kind, with the same file names in each: config, stage, run, __main__."""
