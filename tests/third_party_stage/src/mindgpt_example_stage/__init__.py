"""An example package that supplies one stage kind."""
