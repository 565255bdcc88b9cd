"""Parts of numba kernels that only compiled code calls, made callable from a test."""

from numba import njit


def callable_from_python(kernel):
    """The kernel with a wrapper around it; compiled when it is called, in a second or two."""

    @njit
    def run(*arguments):
        return kernel(*arguments)

    return run
