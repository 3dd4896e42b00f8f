"""Rows taken apart all at once are what they are one by one."""

from __future__ import annotations

import random

import pytest

from lavra.errors import SourceError
from lavra.streams.postgres.pgoutput import UNCHANGED, Value, parse_tuple
from lavra.streams.postgres.tuples import encode_row, split_columns


def random_value(chance: random.Random, longest: int) -> Value:
    draw = chance.random()
    if draw < 0.2:
        return None
    if draw < 0.25:
        return UNCHANGED
    return chance.randbytes(chance.choice((0, 1, 5, chance.randint(0, longest))))


@pytest.mark.parametrize(("rows", "longest"), [(0, 10), (1, 10), (40_000, 20), (500, 70_000)])
def test_columns_equal_rows(rows: int, longest: int) -> None:
    chance = random.Random(rows)  # noqa: S311 - a test
    written = [[random_value(chance, longest) for _ in range(3)] for _ in range(rows)]
    starts = [chance.choice((0, 6, 11)) for _ in range(rows)]
    messages = [b"x" * start + encode_row(row) for row, start in zip(written, starts, strict=True)]
    for message, start, row in zip(messages[:100], starts, written, strict=False):
        assert parse_tuple(message, start)[0] == row
    columns, unchanged = split_columns(messages, starts, 3)
    for place, column in enumerate(columns):
        expected = [value if isinstance(value, bytes) else None for value in map(
            lambda row, place=place: row[place], written)]  # fmt: skip
        column.validate(full=True)
        assert column.to_pylist() == expected
    assert unchanged == [
        (number, place)
        for number, row in enumerate(written)
        for place, value in enumerate(row)
        if value is UNCHANGED
    ]


def test_a_row_of_other_columns_is_an_error() -> None:
    with pytest.raises(SourceError, match="its table's columns"):
        split_columns([encode_row([b"a", b"b"]), encode_row([b"a"])], [0, 0], 2)
