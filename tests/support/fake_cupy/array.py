"""The array: a numpy array inside, cupy's manners outside."""

import operator
from collections import Counter

import numpy as np

from tests.support.fake_cupy.cuda import pool

copies: Counter = Counter()  # {"to host": n, "to device": n}


class ndarray:
    """cupy.ndarray. `_host` is the numpy array that stands in for the device's memory."""

    __module__ = "cupy"  # minigrad.devices asks which library an array is from
    __slots__ = ("__weakref__", "_host", "base")
    __array_priority__ = 100

    def __init__(self, host, base=None):
        self._host = host
        self.base = base
        if base is None:
            pool.allocate(host.nbytes)

    # What it is.

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    T = property(lambda self: view_of(self, self._host.T))

    @property
    def flags(self):
        return _Flags(self)

    def __len__(self):
        return len(self._host)

    def __repr__(self):
        return repr(self.get())

    # Out of the device: each is a copy that waits for the GPU.

    def get(self, stream=None, order="C", out=None, blocking=True):
        copies["to host"] += 1
        return np.array(self._host, order=order)

    def item(self):
        copies["to host"] += 1
        return self._host.item()

    def tolist(self):
        return self.get().tolist()

    def __bool__(self):
        copies["to host"] += 1
        return bool(self._host)

    def __int__(self):
        copies["to host"] += 1
        return int(self._host)

    def __float__(self):
        copies["to host"] += 1
        return float(self._host)

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` explicitly.")

    def __reduce__(self):
        raise TypeError("the tests never pickle device arrays")

    # Into the device.

    def set(self, arr, stream=None):
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.shape != self.shape or arr.dtype != self.dtype:
            raise ValueError(f"shape or dtype mismatch: {arr.dtype}{arr.shape} into {self.dtype}{self.shape}")
        copies["to device"] += 1
        self._host[...] = arr

    # numpy's functions, called on it, are cupy's.

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        from tests.support.fake_cupy import namespace

        ours = namespace.FUNCTIONS.get(ufunc.__name__)
        if ours is None or method not in ("__call__", "at"):
            return NotImplemented
        if method == "at":
            return ours.at(*inputs)
        return ours(*inputs, **({"out": out[0]} if out else {}), **options)

    def __array_function__(self, function, types, args, options):
        from tests.support.fake_cupy import namespace

        ours = namespace.FUNCTIONS.get(function.__name__)
        return NotImplemented if ours is None else ours(*args, **options)

    # Indexing.

    def __getitem__(self, index):
        where = _index(index)
        if _has_mask(where):
            copies["to host"] += 1  # how many elements there are is known on the device only
        found = self._host[where]
        if isinstance(found, np.ndarray) and np.may_share_memory(found, self._host):
            return view_of(self, found)
        return ndarray(np.asarray(found))

    def __setitem__(self, index, value):
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError(f"Unsupported type {type(value)}")
        self._host[_index(index)] = value._host if isinstance(value, ndarray) else value

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # Views.

    def reshape(self, *shape, order="C", copy=None):
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return _maybe_view(self, self._host.reshape(shape, order=order))

    def transpose(self, *axes):
        return view_of(self, self._host.transpose(*axes))

    def swapaxes(self, axis1, axis2):
        return view_of(self, self._host.swapaxes(axis1, axis2))

    def diagonal(self, offset=0, axis1=0, axis2=1):
        return view_of(self, self._host.diagonal(offset, axis1, axis2))

    def squeeze(self, axis=None):
        return view_of(self, self._host.squeeze(axis))

    def view(self, dtype=None):
        return view_of(self, self._host.view() if dtype is None else self._host.view(dtype))

    def ravel(self, order="C"):
        return _maybe_view(self, self._host.ravel(order))

    # Copies on the device.

    def copy(self, order="C"):
        return ndarray(self._host.copy(order))

    def flatten(self, order="C"):
        return ndarray(self._host.flatten(order))

    def astype(self, dtype, order="K", casting=None, subok=None, copy=True):
        cast = self._host.astype(dtype, order=order, copy=copy)
        return self if cast is self._host else ndarray(cast)

    def fill(self, value):
        if isinstance(value, np.ndarray):
            raise TypeError(f"Unsupported type {type(value)}")
        self._host.fill(value._host if isinstance(value, ndarray) else value)

    def sort(self, axis=-1, kind=None):
        self._host.sort(axis, kind=_stable(kind))

    def argsort(self, axis=-1, kind=None):
        return ndarray(self._host.argsort(axis, kind=_stable(kind)))

    def argpartition(self, kth, axis=-1):
        return ndarray(self._host.argsort(axis, kind="stable"))

    def take(self, indices, axis=None, out=None):
        return ndarray(np.asarray(self._host.take(_index(indices), axis=axis)))

    def repeat(self, repeats, axis=None):
        return ndarray(self._host.repeat(repeats, axis))

    def nonzero(self):
        copies["to host"] += 1
        return tuple(ndarray(found) for found in self._host.nonzero())

    def clip(self, min=None, max=None, out=None):
        result = np.clip(self._host, host(min), host(max), out=None if out is None else out._host)
        return ndarray(result) if out is None else out


# The reductions take what cupy's take, and nothing else: no `initial`, no `where`.


def _reduction(name, takes_dtype=False, takes_ddof=False):
    def reduce(self, axis=None, out=None, keepdims=False, **options):
        allowed = {option for option, taken in (("dtype", takes_dtype), ("ddof", takes_ddof)) if taken}
        if set(options) - allowed or out is not None:
            raise TypeError(f"{name}() got an unexpected keyword argument {sorted(set(options) - allowed)}")
        return ndarray(np.asarray(getattr(self._host, name)(axis=axis, keepdims=keepdims, **options)))

    reduce.__name__ = name
    return reduce


for _name in ("max", "min", "any", "all", "argmax", "argmin"):
    setattr(ndarray, _name, _reduction(_name))
for _name in ("sum", "mean", "prod"):
    setattr(ndarray, _name, _reduction(_name, takes_dtype=True))
for _name in ("var", "std"):
    setattr(ndarray, _name, _reduction(_name, takes_dtype=True, takes_ddof=True))


def _cumulative(name):
    def scan(self, axis=None, dtype=None, out=None):
        return ndarray(getattr(self._host, name)(axis=axis, dtype=dtype))

    return scan


ndarray.cumsum, ndarray.cumprod = _cumulative("cumsum"), _cumulative("cumprod")


# The operators.

NUMBERS = (int, float, bool, np.generic)
OPERATORS = "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift eq ne lt le gt ge"


def _operators(name):
    function = getattr(operator, name)
    in_place = getattr(operator, f"i{name.rstrip('_')}", None)

    def forward(self, other):
        if not isinstance(other, (*NUMBERS, ndarray, np.ndarray)):
            return NotImplemented
        return ndarray(np.asarray(function(self._host, operand(other))))

    def reflected(self, other):
        if not isinstance(other, (*NUMBERS, np.ndarray)):
            return NotImplemented
        return ndarray(np.asarray(function(operand(other), self._host)))

    def augmented(self, other):
        changed = self._host if self.ndim else self._host[...]
        in_place(changed, operand(other))
        return self

    bare = name.rstrip("_")
    setattr(ndarray, f"__{bare}__", forward)
    if bare not in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(ndarray, f"__r{bare}__", reflected)
        if in_place is not None and bare != "matmul":
            setattr(ndarray, f"__i{bare}__", augmented)


for _name in OPERATORS.split():
    _operators(_name)
ndarray.__neg__ = lambda self: ndarray(np.asarray(-self._host))
ndarray.__abs__ = lambda self: ndarray(np.asarray(abs(self._host)))
ndarray.__invert__ = lambda self: ndarray(np.asarray(~self._host))
ndarray.__hash__ = None


class _Flags:
    """c_contiguous, f_contiguous and owndata: cupy has no others."""

    def __init__(self, owner):
        self.c_contiguous = owner._host.flags.c_contiguous
        self.f_contiguous = owner._host.flags.f_contiguous
        self.owndata = owner.base is None


def operand(value):
    """What may stand in an expression beside a device array, as numpy takes it."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    return value


def host(value):
    """operand, and None."""
    return None if value is None else operand(value)


def view_of(owner, view):
    """A device array on the memory of another."""
    return ndarray(np.asarray(view), owner if owner.base is None else owner.base)


def _maybe_view(owner, result):
    return view_of(owner, result) if np.may_share_memory(result, owner._host) else ndarray(result)


def _index(index):
    if isinstance(index, tuple):
        return tuple(_index(part) for part in index)
    if isinstance(index, (np.ndarray, list)):
        # cupy takes them, with a copy to the device that nobody asked for; here it is a fault
        raise TypeError("a hidden copy to the device: the index is on the host")
    return index._host if isinstance(index, ndarray) else index


def _has_mask(index) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, np.ndarray) and part.dtype == bool for part in parts)


def _stable(kind):
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    return "stable"
