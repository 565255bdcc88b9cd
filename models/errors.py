"""The error for what a user can put right: the command line prints its one line and exits with code 2."""


class UserError(ValueError):
    """Something the user gave will not do. The message says what it was, what was expected and what to do."""
