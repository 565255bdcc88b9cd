"""What can go wrong in the course kit."""

from models.errors import UserError


class CutError(UserError):
    """A function cannot be found in a file's text, or a body does not fit into it."""


class CourseError(UserError):
    """The table of exercises, or the repository it belongs to, is not as it must be."""
