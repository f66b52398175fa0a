"""The half of a training step that needs no host: replies in, advantages and figures out."""
