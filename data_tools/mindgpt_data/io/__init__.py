"""Files of the data tools: the work folder, JSON lines, pictures from outside, progress."""
