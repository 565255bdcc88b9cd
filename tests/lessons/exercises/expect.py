"""What the tests of the exercises expect, said in words: each failure tells what was checked, expected and got.

Nothing here uses the gradients of minigrad: a check must not lean on what it judges.
"""

import numpy as np


class Unexpected(AssertionError):
    """A check that did not hold.

    what      what was checked, "softmax of [1, 2, 3]"
    expected  what should have come out, in words or numbers
    got       what came out
    """

    def __init__(self, what: str, expected: str, got: str):
        super().__init__(f"{what}\nexpected: {expected}\ngot: {got}")
        self.what, self.expected, self.got = what, expected, got


def close(got, expected, what: str, rtol: float = 1e-5, atol: float = 1e-7) -> None:
    """`got` (numbers, arrays, tensors) equals `expected` up to atol + rtol·|expected|; NaN equals NaN."""
    got, expected = _array(got), _array(expected)
    _same_shape(got, expected, what)
    if not _numeric(got) or not _numeric(expected):
        raise Unexpected(what, _shown(expected), f"{_shown(got)}, which is of dtype {got.dtype}, not numbers")
    with np.errstate(invalid="ignore"):
        wrong = ~np.isclose(got, expected, rtol=rtol, atol=atol, equal_nan=True)
    if wrong.any():
        raise Unexpected(what, _shown(expected), _shown(got) + _worst(got, expected, wrong))


def equal(got, expected, what: str) -> None:
    """`got` equals `expected` exactly: numbers, arrays (with their dtype if both have one), texts, lists, None."""
    if _is_array(got) or _is_array(expected):
        typed = _is_array(got) and _is_array(expected)
        got, expected = _array(got), _array(expected)
        _same_shape(got, expected, what)
        if typed and got.dtype != expected.dtype:
            raise Unexpected(what, f"dtype {expected.dtype}", f"dtype {got.dtype}")
        wrong = ~((got == expected) | ((got != got) & (expected != expected)))
        if wrong.any():
            raise Unexpected(what, _shown(expected), _shown(got) + _worst(got, expected, wrong))
    elif type(got) is not type(expected) and not (_is_number(got) and _is_number(expected)):
        raise Unexpected(what, f"{_words(expected)} ({_type(expected)})", f"{_words(got)} ({_type(got)})")
    elif got != expected:
        raise Unexpected(what, _words(expected), _words(got))


def gradients(function, inputs, what: str, eps: float = 1e-6, rtol: float = 1e-4, atol: float = 1e-6) -> None:
    """The gradients of `function` with respect to each of `inputs` agree with central differences.

    function  takes as many Tensors as there are inputs and returns one Tensor, which depends on them smoothly
    inputs    arrays or Tensors; checked in float64

    The output is multiplied by fixed random numbers and added up, so that every element of the upstream gradient
    is different: with a plain sum, many wrong rules look right.
    """
    import minigrad as mg

    arrays, tensors = _leaves(inputs)
    output = function(*tensors)
    upstream = _upstream(output.shape)
    output.backward(mg.tensor(upstream, dtype=output.dtype))

    def number() -> float:
        with mg.no_grad():
            return float((_array(function(*map(mg.tensor, arrays))) * upstream).sum())

    _agree([tensor.grad for tensor in tensors], number, arrays, what, eps, rtol, atol)


def rule(operation, inputs, what: str, eps: float = 1e-6, rtol: float = 1e-4, atol: float = 1e-6) -> None:
    """The gradient rule of one call of an operation, such as Mul(), agrees with central differences of its forward.

    Without the engine: the rule is called by itself, with arrays. Otherwise as gradients().
    """
    arrays, tensors = _leaves(inputs)
    upstream = _upstream(operation(*tensors).shape)
    claimed = operation.backward(upstream)
    claimed = claimed if isinstance(claimed, tuple) else (claimed,)
    equal(len(claimed), len(arrays), f"{what}: the number of gradients, one for each input")
    _agree(claimed, lambda: float((operation.forward(*arrays) * upstream).sum()), arrays, what, eps, rtol, atol)


def holds(condition, what: str) -> None:
    """The condition is true; `what` says it as a sentence that should hold."""
    if not condition:
        raise Unexpected(what, "this holds", "it does not")


def _leaves(inputs) -> tuple[list, list]:
    """The inputs as float64 arrays and, with copies of these, as Tensors that want gradients."""
    import minigrad as mg

    arrays = [np.array(_array(x), np.float64) for x in inputs]
    return arrays, [mg.tensor(array.copy(), requires_grad=True) for array in arrays]


def _upstream(shape: tuple) -> np.ndarray:
    return np.asarray(np.random.default_rng(1).uniform(0.5, 1.5, shape))


def _agree(claimed, number, arrays, what: str, eps: float, rtol: float, atol: float) -> None:
    """Each claimed gradient agrees with differences of number(), which is worked out from the arrays."""
    for i, (gradient, array) in enumerate(zip(claimed, arrays, strict=True)):
        which = f"{what}: its gradient with respect to input {i}, of shape {array.shape}, against finite differences"
        numerical = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            before = array[index]
            array[index] = before + eps
            above = number()
            array[index] = before - eps
            numerical[index] = (above - number()) / (2 * eps)
            array[index] = before
        if gradient is None:
            raise Unexpected(which, _shown(numerical), "no gradient at all, None")
        close(gradient, numerical, which, rtol, atol)


def _is_array(x) -> bool:
    return hasattr(x, "shape") and hasattr(x, "dtype")


def _array(x) -> np.ndarray:
    """A Tensor, an array of any device, a number or a nested list as a numpy array."""
    if hasattr(x, "requires_grad"):
        x = x.detach().numpy()
    array = np.asarray(x.get() if hasattr(x, "get") and _is_array(x) else x)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _numeric(x: np.ndarray) -> bool:
    return x.dtype.kind in "biuf"


def _is_number(x) -> bool:
    return isinstance(x, (int, float, np.number)) and not isinstance(x, bool)


def _same_shape(got: np.ndarray, expected: np.ndarray, what: str) -> None:
    if got.shape != expected.shape:
        raise Unexpected(what, f"shape {expected.shape}: {_shown(expected)}", f"shape {got.shape}: {_shown(got)}")


def _worst(got: np.ndarray, expected: np.ndarray, wrong: np.ndarray) -> str:
    """Where the two differ most, in words; NaN first, because it spreads."""
    if not _numeric(got) or not _numeric(expected):
        index = tuple(map(int, np.argwhere(wrong)[0]))
        return f"\nfirst difference at {_place(index)}: {got[index]!r} instead of {expected[index]!r}"
    nan = wrong & (got != got)
    if nan.any():
        index = tuple(map(int, np.argwhere(nan)[0]))
        return f"\n{_count(nan)} NaN (not a number), the first at {_place(index)}, where {expected[index]:.6g} is right"
    if got.ndim == 0:
        return ""
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(got.astype(np.float64) - expected.astype(np.float64))
    distance = np.where(wrong, np.nan_to_num(distance, nan=np.inf), -1)
    index = tuple(map(int, np.unravel_index(distance.argmax(), got.shape)))
    return (
        f"\n{_count(wrong)} wrong, the largest difference {distance[index]:.3g} at {_place(index)}: "
        f"{got[index]:.6g} instead of {expected[index]:.6g}"
    )


def _count(marked: np.ndarray) -> str:
    number = int(marked.sum())
    return f"{number} of {marked.size} numbers {'is' if number == 1 else 'are'}"


def _place(index: tuple) -> str:
    return f"[{', '.join(map(str, index))}]" if index else "the only element"


def _shown(x: np.ndarray) -> str:
    """Small arrays whole, large ones by their corners, on one line where they fit."""
    text = np.array2string(x, precision=6, separator=", ", threshold=24, edgeitems=2, max_line_width=100)
    return text if "\n" not in text else f"\n{text}"


def _words(x) -> str:
    text = repr(x)
    return text if len(text) <= 400 else f"{text[:400]}… ({len(text)} characters)"


def _type(x) -> str:
    return type(x).__name__
