"""A source and what landed of it, compared: all changes, and what is there now."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.lavra.streams.conftest import Followed
from tests.lavra.streams.writers import Writer

TABLES = {"public.things": ("id",), "other.parts": ("a", "b")}
_THING = "v, coalesce(name, '~'), coalesce(amount::varchar, '~'), coalesce(epoch_us(seen)::varchar, '~'), coalesce(body, '~')"  # noqa: E501
_LANDED = {
    "things": ("id::varchar", f"md5(concat_ws('|', {_THING}))"),
    "parts": ("a::varchar || '|' || b", "md5(concat_ws('|', v, coalesce(flag::varchar, '~')))"),
}
"""Of each landed table the key as text, and the checksum that the source's log has of a row."""


def assert_same_state(followed: Followed) -> None:
    for table, key in TABLES.items():
        schema, name = table.split(".")
        columns = [
            row[0]
            for row in followed.query(
                "select column_name from information_schema.columns "
                f"where table_schema = '{schema}' and table_name = '{name}' order by 1"
            )
        ]
        listed = ", ".join(columns)
        order = ", ".join(key)
        expected = followed.query(f'select {listed} from {table} order by {order} collate "C"'
                                  if name == "parts" else
                                  f"select {listed} from {table} order by {order}")  # fmt: skip
        assert followed.current(name, listed, *key) == expected, table


def assert_same_history(followed: Followed) -> None:
    """Each change that was committed landed, with its content, and landed once."""
    for table, (key, digest) in _LANDED.items():
        landed = followed.lake.rows(
            f"select case when _ab_cdc_deleted_at is null then 'written' when {key} is null "
            f"then 'emptied' else 'deleted' end, {key}, "
            f"case when _ab_cdc_deleted_at is null then {digest} end, _lavra_sequence "
            f"from lake.landing_{followed.name}.{table}"
        )
        here = Counter(row[:3] for row in landed)
        there = Counter(followed.query(f"select op, key, digest from log where tab = '{table}'"))
        assert (there - here, here - there) == (Counter(), Counter()), table
        assert len({row[3] for row in landed}) == len(landed)


def touch(followed: Followed) -> None:
    """Change each table, since a change of columns is noticed with the next change."""
    followed.sql(
        "insert into things (id, v) values (9999, nextval('version'))",
        "insert into other.parts (a, b, v) values (9999, 'z', nextval('version'))",
    )


def random_writes(followed: Followed, seed: int, statements: int, **options: Any) -> list[Writer]:
    writers = [Writer(followed.url, seed * 10 + n, statements // 3, **options) for n in range(3)]
    for writer in writers:
        writer.start()
    return writers
