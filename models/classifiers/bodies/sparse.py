"""Matrices that are nearly all zeros: compressed sparse rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numba import prange

from minigrad.kernels.cpu import simd


@dataclass(frozen=True)
class SparseMatrix:
    """Row i has values[starts[i] : starts[i + 1]] in the columns columns[starts[i] : starts[i + 1]], in rising order.

    values float64 and columns int32, (non-zeros,); starts int64 (rows + 1,).
    """

    values: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[int, float]], width: int) -> "SparseMatrix":
        """From each row's {column: value}."""
        values, columns, starts = [], [], [0]
        for row in rows:
            for column in sorted(row):
                columns.append(column)
                values.append(row[column])
            starts.append(len(columns))
        arrays = np.array(values, np.float64), np.array(columns, np.int32), np.array(starts, np.int64)
        return cls(*arrays, (len(starts) - 1, width))

    def __len__(self) -> int:
        return self.shape[0]

    def __matmul__(self, dense: np.ndarray) -> np.ndarray:
        """This matrix times (columns, n): float64 (rows, n)."""
        if dense.ndim != 2 or len(dense) != self.shape[1]:
            raise ValueError(f"sparse {self.shape} @ {dense.shape}: expected ({self.shape[1]}, n)")
        out = np.zeros((self.shape[0], dense.shape[1]))
        _times(self.values, self.columns, self.starts, np.ascontiguousarray(dense, np.float64), out)
        return out

    @property
    def T(self) -> "SparseMatrix":
        """The transpose."""
        row = np.repeat(np.arange(self.shape[0], dtype=np.int32), np.diff(self.starts))
        order = np.argsort(self.columns, kind="stable")  # rows stay in rising order
        starts = np.concatenate([[0], np.cumsum(np.bincount(self.columns, minlength=self.shape[1]))])
        return SparseMatrix(self.values[order], row[order], starts, self.shape[::-1])

    def take(self, rows: np.ndarray) -> "SparseMatrix":
        """The matrix of these rows, by number or by a mask."""
        rows = np.flatnonzero(rows) if np.asarray(rows).dtype == bool else np.asarray(rows, np.int64)
        lengths = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        places = np.repeat(self.starts[rows] - starts[:-1], lengths) + np.arange(starts[-1])
        return SparseMatrix(self.values[places], self.columns[places], starts, (len(rows), self.shape[1]))

    def toarray(self) -> np.ndarray:
        """The same as a dense array."""
        dense = np.zeros(self.shape)
        dense[np.repeat(np.arange(self.shape[0]), np.diff(self.starts)), self.columns] = self.values
        return dense


@simd.parallel
def _times(values, columns, starts, dense, out):
    for i in prange(len(out)):
        for place in range(starts[i], starts[i + 1]):
            value, row = values[place], dense[columns[place]]
            for j in range(row.size):
                out[i, j] += value * row[j]
