"""Numba kernels that turn the bytes of atom lines into numbers.

Decimal numbers come out correctly rounded (equal to Python's ``float``).  Whatever a kernel
is not sure of it does not guess: the token is put into a list of odd ones, for Python.

Positions are unsigned inside, which frees numba from the test for negative indices at every
byte (a tenth of the time), and the parts of a line are inlined, which is another fifth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numba import njit

REAL, NUMBER, INTEGER, SYMBOL, TEXT = range(5)
"""Kinds of columns: float; atomic number; integer that is checked only; chemical symbol; any."""

_POWERS = 10.0 ** np.arange(23)  # exact in binary64
ONE = np.uint64(1)
_ZERO, _NINE, _NEWLINE, _PLUS, _MINUS, _POINT = 48, 57, 10, 43, 45, 46

OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy"}


def _symbol_table() -> np.ndarray:
    """Atomic numbers of one and two letters (a = 1 ... z = 26, none = 0), -1 for no element."""
    table = np.full((27, 27), -1, dtype=np.int64)
    for symbol, number in atomic_numbers.items():
        if len(symbol) <= 2:
            letters = [ord(letter) - 96 for letter in symbol.lower()] + [0]
            table[letters[0], letters[1]] = number
    return table


_SYMBOLS = _symbol_table()


@njit(forceinline=True, **OPTIONS)
def _blank(byte: int) -> bool:
    """Whether a byte separates tokens within a line, as ``str.split`` has it."""
    return byte <= 32 and (byte == 32 or byte == 9 or (11 <= byte <= 13) or (28 <= byte <= 31))


@njit(forceinline=True, **OPTIONS)
def _token_end(data: np.ndarray, start: int) -> int:
    """Position of the first blank or newline from `start` on."""
    i = start
    while data[i] != _NEWLINE and not _blank(data[i]):
        i += ONE
    return i


@njit(forceinline=True, **OPTIONS)
def _next_line(data: np.ndarray, start: int) -> int:
    """Position after the next newline."""
    i = start
    while data[i] != _NEWLINE:
        i += ONE
    return i + ONE


@njit(**OPTIONS)
def _divided(mantissa: np.uint64, exponent: int) -> tuple[float, bool]:
    """mantissa / 10**exponent correctly rounded, for a mantissa above 2**53; and if sure.

    The quotient is computed to twice the precision (Dekker 1971) and is sure unless it lies
    within the error of that from the middle between two floats.
    """
    divisor = _POWERS[exponent]
    high = float(mantissa)
    low = np.float64(np.int64(mantissa - np.uint64(high)))  # wraps to the signed difference
    first = high / divisor
    a = first * 134217729.0
    a = a - (a - first)
    b = divisor * 134217729.0
    b = b - (b - divisor)
    product = first * divisor
    error = ((a * b - product) + a * (divisor - b) + (first - a) * b) + (first - a) * (divisor - b)
    second = (((high - product) - error) + low) / divisor
    value = first + second
    rest = second - (value - first)
    doubt = abs(second) * 2.0**-48
    return value, value + (rest + doubt) == value and value + (rest - doubt) == value


@njit(forceinline=True, **OPTIONS)
def _digits(data: np.ndarray, start: int, mantissa: np.uint64) -> tuple[np.uint64, int]:
    """`mantissa` with the digits from `start` on behind it, and the position after them."""
    i = start
    while True:
        digit = np.uint8(data[i] - np.uint8(_ZERO))
        if digit > 9:
            return mantissa, i
        mantissa = mantissa * np.uint64(10) + np.uint64(digit)
        i += ONE


@njit(forceinline=True, **OPTIONS)
def _scaled(mantissa: np.uint64, exponent: int) -> tuple[float, bool]:
    """mantissa * 10**exponent correctly rounded, and whether it is sure."""
    value = float(mantissa)
    if mantissa == 0:
        return 0.0, True
    if exponent == 0:
        return value, True
    if -22 <= exponent <= 22 and mantissa <= np.uint64(9007199254740992):
        # Both factors are exact, so the one operation rounds correctly (Clinger 1990).
        return (value / _POWERS[-exponent] if exponent < 0 else value * _POWERS[exponent]), True
    if -22 <= exponent < 0:
        return _divided(mantissa, -exponent)
    return value, False


@njit(forceinline=True, **OPTIONS)
def _exponent(data: np.ndarray, start: int) -> tuple[int, int, bool]:
    """Integer after the e of a number, the position after it, and whether it is sure."""
    i = start
    minus = data[i] == _MINUS
    if minus or data[i] == _PLUS:
        i += ONE
    first = i
    exponent = 0
    while _ZERO <= data[i] <= _NINE and i - first < np.uint64(5):
        exponent = 10 * exponent + (data[i] - _ZERO)
        i += ONE
    return (-exponent if minus else exponent), i, i > first


@njit(forceinline=True, **OPTIONS)
def _real(data: np.ndarray, start: int) -> tuple[float, int, bool]:
    """Number that starts at `start`, the position after it, and whether it is sure."""
    i = start
    negative = data[i] == _MINUS
    if negative or data[i] == _PLUS:
        i += ONE
    first = i
    mantissa, i = _digits(data, i, np.uint64(0))
    n_seen = np.int64(i - first)
    n_decimals = 0
    if data[i] == _POINT:
        first = i + ONE
        mantissa, i = _digits(data, first, mantissa)
        n_decimals = np.int64(i - first)
        n_seen += n_decimals
    if n_seen > 19:
        first = start
        while data[first] in (_PLUS, _MINUS, _POINT, _ZERO):
            n_seen -= data[first] == _ZERO  # leading zeros are not significant
            first += ONE
    sure = 0 < n_seen <= 19
    exponent = 0
    if sure and (data[i] == 69 or data[i] == 101):
        exponent, i, sure = _exponent(data, i + ONE)
    value, exact = _scaled(mantissa, exponent - n_decimals)
    return (-value if negative else value), i, sure and exact


@njit(forceinline=True, **OPTIONS)
def _integer(data: np.ndarray, start: int) -> tuple[int, int, bool]:
    """Integer that starts at `start`, the position after it, and whether it is sure."""
    i = start
    number = 0
    while _ZERO <= data[i] <= _NINE and i - start < np.uint64(18):
        number = 10 * number + (data[i] - _ZERO)
        i += ONE
    return number, i, data[start] != _MINUS and data[start] != _PLUS


@njit(forceinline=True, **OPTIONS)
def _symbol(data: np.ndarray, start: int) -> tuple[int, int, bool]:
    """Atomic number of the symbol at `start`, the position after it, and if there is one."""
    number = -1
    a = (data[start] | 32) - 96
    b = (data[start + ONE] | 32) - 96
    short = data[start + ONE] == _NEWLINE or _blank(data[start + ONE])
    if data[start] >= 65 and 1 <= a <= 26:
        if short:
            number = _SYMBOLS[a, 0]
        elif data[start + ONE] >= 65 and 1 <= b <= 26:
            number = _SYMBOLS[a, b]
    return number, start + (ONE if short else ONE + ONE), number >= 0


@njit(**OPTIONS)
def parse_rows(
    data: np.ndarray, start: int, n_rows: int, kinds: np.ndarray, slots: np.ndarray,
    first: int, numbers: np.ndarray, values: np.ndarray, odd: np.ndarray,
) -> tuple[int, int, int]:  # fmt: skip
    """Read lines of atoms.

    Parameters
    ----------
    data : ndarray, uint8
        Bytes that end with a newline (or none), which stops every loop over a line.
    start : int
        Position of the first line.
    n_rows : int
    kinds, slots : ndarray, shape (n_columns,), int64
        Kind of each column, and the column of `values` for a REAL (-1: checked only).
        What follows in a line is ignored.
    first : int
        Row of `numbers` and `values` for the first line.
    numbers : ndarray, shape (n,), int64
        Out: atomic numbers.
    values : ndarray, shape (n, n_slots), float64
        Out.
    odd : ndarray, shape (n_odd_max, 4), int64
        Out: row, column, start and end of each token that needs Python.

    Returns
    -------
    n_read, position, n_odd : int
        Lines read and the position after them.  With fewer than `n_rows`, `position` is the
        start of a line with too few columns, -1 where the bytes end, -2 where `odd` is full.
    """
    i, end = np.uint64(start), np.uint64(data.shape[0])
    n_odd = 0
    for row in range(n_rows):
        line = i
        if i >= end:
            return row, -1, n_odd
        for column in range(kinds.shape[0]):
            while _blank(data[i]):
                i += ONE
            if data[i] == _NEWLINE:
                return row, np.int64(line), n_odd
            token, kind = i, kinds[column]
            real, number, sure = 0.0, -1, True
            if kind == REAL:
                real, i, sure = _real(data, i)
            elif kind == SYMBOL:
                number, i, sure = _symbol(data, i)
            elif kind != TEXT:
                number, i, sure = _integer(data, i)
            finish = _token_end(data, i)
            if kind != TEXT and (finish != i or not sure):
                if n_odd == odd.shape[0]:
                    return row, -2, n_odd
                odd[n_odd, 0], odd[n_odd, 1] = row, column
                odd[n_odd, 2], odd[n_odd, 3] = token, finish
                n_odd += 1
            elif kind == REAL:
                if slots[column] >= 0:
                    values[first + row, slots[column]] = real
            elif kind in (NUMBER, SYMBOL):
                numbers[first + row] = number
            i = finish
        i = _next_line(data, i)
    return n_rows, np.int64(i), n_odd


@njit(**OPTIONS)
def header_like(data: np.ndarray, start: int) -> bool:
    """Whether the line at `start` is one unsigned integer, or starts with ``ITEM:``."""
    i = start
    while _blank(data[i]):
        i += 1
    if data[i] == 73:
        return data[i + 1] == 84 and data[i + 2] == 69 and data[i + 3] == 77 and data[i + 4] == 58
    first = i
    while _ZERO <= data[i] <= _NINE:
        i += 1
    if i == first:
        return False
    while _blank(data[i]):
        i += 1
    return data[i] == _NEWLINE


@njit(**OPTIONS)
def skip_lines(data: np.ndarray, start: int, n_lines: int) -> tuple[int, int]:
    """Pass over lines that are no headers.

    Returns
    -------
    n_passed, position : int
        Lines passed and the position after them; fewer than `n_lines` where a header comes
        or the bytes end.
    """
    end = data.shape[0]
    i = np.uint64(start)
    for line in range(n_lines):
        if i >= np.uint64(end) or header_like(data, np.int64(i)):
            return line, np.int64(i)
        i = _next_line(data, i)
    return n_lines, np.int64(i)
