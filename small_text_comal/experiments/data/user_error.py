"""The one kind of error that the command line shows without a traceback."""

__all__ = ["UserError"]


class UserError(ValueError):
    """Something that the user can put right; the message says what was expected, what came, and what to do.

    Checks raise it. Any other ValueError or TypeError is a bug of this package, and keeps its traceback.
    """
