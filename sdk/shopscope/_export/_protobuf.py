"""Reads protobuf, as far as answers and our own requests need it: fields in their order, nothing generated."""

from collections.abc import Iterator

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: an integer for varints, bytes for all else.

    Raises:
        ValueError: the bytes are no message.
    """
    position, end = 0, len(data)
    while position < end:
        key, position = read_varint(data, position)
        kind = key & 7
        if kind == _VARINT:
            number, position = read_varint(data, position)
            yield key >> 3, number
            continue
        if kind == _LENGTH_DELIMITED:
            size, position = read_varint(data, position)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ValueError(f"a field's kind must be 0, 1, 2 or 5: {kind}; the message is damaged")
        if position + size > end:
            raise ValueError(f"a field must end within its message: {position + size} of {end}; it is cut off")
        yield key >> 3, data[position : position + size]
        position += size


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at ``position``, and where it ends.

    Raises:
        ValueError: the bytes end within it, or it is longer than 64 bits.
    """
    number = shift = 0
    while position < len(data) and shift < 70:  # noqa: PLR2004 (ten groups of seven bits)
        byte = data[position]
        number |= (byte & 127) << shift
        position += 1
        shift += 7
        if byte < 128:  # noqa: PLR2004 (last group of seven bits)
            return number, position
    raise ValueError(f"a varint must end within its message: {data[:position]!r}; it is cut off")


def field(data: bytes, number: int) -> int | bytes | None:
    """The last value of one field, which is the one that counts, or None."""
    return dict(fields(data)).get(number)
