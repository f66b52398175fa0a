"""Every key that a recipe, a ``mindgpt:`` section or a verl settings file may have, told from the schemas."""
