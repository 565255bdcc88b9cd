"""The strings of a Parquet file, for the vocabulary of pretrained vectors: as much of the format as that takes.

A file is pages of values, each after a header in Thrift's compact protocol; the footer says where they start.
Here: one column of strings, pages compressed by Snappy or not at all, values plain or as numbers of a
dictionary. Anything else is refused. https://parquet.apache.org/docs/file-format/
"""

import struct

from models.errors import DataError

_PLAIN, _DICTIONARY_ENCODINGS = 0, (2, 8)
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2


def read_strings(data: bytes) -> list[str]:
    """All values of a file with one required or optional column of strings. Raises DataError for any other."""
    if data[:4] != b"PAR1" or data[-4:] != b"PAR1":
        raise DataError("not a Parquet file: it does not begin and end with PAR1")
    try:
        footer = len(data) - 8 - struct.unpack("<i", data[-8:-4])[0]
        return _column(data, _Thrift(data, footer).struct())
    except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise DataError(f"a damaged Parquet file, or one with features that are not read here: {error!r}") from None


def _column(data: bytes, footer: dict) -> list[str]:
    """The field numbers are those of parquet.thrift: FileMetaData, RowGroup, ColumnChunk, ColumnMetaData."""
    rows, groups = footer[3], footer[4]
    optional = footer[2][1].get(3) == 1  # SchemaElement.repetition_type of the column
    values: list[str] = []
    for group in groups:
        column = group[1][0][3]
        at, wanted = column.get(11, column[9]), len(values) + column[5]
        dictionary: list[str] = []
        while len(values) < wanted:
            reader = _Thrift(data, at)
            header = reader.struct()
            at = reader.at + header[3]
            page = data[reader.at : at]
            page = _unsnap(page) if column[4] == 1 else page
            if header[1] == _DICTIONARY_PAGE:
                dictionary = _plain(page, header[7][1])
            elif header[1] == _DATA_PAGE:
                count, encoding = header[5][1], header[5][2]
                if optional:  # which values are there: all of them, or the counts would not agree
                    page = page[4 + struct.unpack_from("<i", page)[0] :]
                if encoding == _PLAIN:
                    values += _plain(page, count)
                elif encoding in _DICTIONARY_ENCODINGS:
                    values += [dictionary[i] for i in _numbers(page[1:], page[0], count)]
                else:
                    raise KeyError(f"encoding {encoding}")
    if len(values) != rows:
        raise IndexError(f"{len(values)} values of {rows}")
    return values


def _plain(page: bytes, count: int) -> list[str]:
    """Strings, each after its length."""
    values, at = [], 0
    for _ in range(count):
        (length,) = struct.unpack_from("<i", page, at)
        values.append(page[at + 4 : at + 4 + length].decode("utf-8"))
        at += 4 + length
    return values


def _numbers(page: bytes, width: int, count: int) -> list[int]:
    """Numbers of a given width in bits: runs of one number, and groups of eight packed side by side."""
    numbers: list[int] = []
    at = 0
    while len(numbers) < count:
        header, at = _varint(page, at)
        if header & 1:
            length = (header >> 1) * width
            for group in range(at, at + length, width):
                eight = int.from_bytes(page[group : group + width], "little")
                numbers += [eight >> (width * i) & (1 << width) - 1 for i in range(8)]
        else:
            length = (width + 7) // 8
            numbers += [int.from_bytes(page[at : at + length], "little")] * (header >> 1)
        at += length
    return numbers[:count]


def _unsnap(data: bytes) -> bytes:
    """Snappy: literals, and copies of what has gone before. https://github.com/google/snappy, format_description.txt"""
    size, at = _varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        kind, length = tag & 3, (tag >> 2) + 1
        if kind == 0:
            if length > 60:
                extra = length - 60
                length = int.from_bytes(data[at : at + extra], "little") + 1
                at += extra
            out += data[at : at + length]
            at += length
            continue
        if kind == 1:
            length, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | data[at]
            at += 1
        else:
            extra = 2 if kind == 2 else 4
            offset = int.from_bytes(data[at : at + extra], "little")
            at += extra
        start = len(out) - offset
        if offset >= length:
            out += out[start : start + length]
        else:  # the copy runs into what it writes: a pattern, repeated
            out += (out[start:] * (length // offset + 1))[:length]
    if len(out) != size:
        raise IndexError(f"a page of {len(out)} bytes instead of {size}")
    return bytes(out)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned integer in groups of seven bits, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


class _Thrift:
    """Thrift's compact protocol: a struct becomes {field number: value}."""

    def __init__(self, data: bytes, at: int):
        self.data, self.at = data, at

    def struct(self) -> dict:
        fields, number = {}, 0
        while (byte := self._byte()) != 0:
            number = number + (byte >> 4) if byte >> 4 else self._integer()
            fields[number] = self._value(byte & 15)
        return fields

    def _value(self, kind: int):
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._integer()
        if kind == 8:
            length, self.at = _varint(self.data, self.at)
            self.at += length
            return self.data[self.at - length : self.at]
        if kind in (9, 10):
            byte = self._byte()
            length = byte >> 4
            if length == 15:
                length, self.at = _varint(self.data, self.at)
            return [self._value(byte & 15) for _ in range(length)]
        if kind == 12:
            return self.struct()
        raise KeyError(f"Thrift type {kind}")

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _integer(self) -> int:
        value, self.at = _varint(self.data, self.at)
        return value >> 1 ^ -(value & 1)  # zigzag: 0, -1, 1, -2, ...
