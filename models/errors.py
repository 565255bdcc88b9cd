"""What users can put right: the command line prints the one line of such an error and exits with code 2."""


class UserError(ValueError):
    """Something the user gave will not do. The message says what it was, what was expected and what to do."""


class DataError(UserError):
    """The data a user gave or asked for will not do, or are not available."""
