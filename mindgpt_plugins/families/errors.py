"""The error of this package."""


class FamilyError(ValueError):
    """A model folder or a picture cannot be used as asked; the message names it, the cause and the fix."""
