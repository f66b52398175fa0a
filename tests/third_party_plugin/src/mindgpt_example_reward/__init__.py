"""An example package that supplies one reward."""
