"""Keys of kept answers, and the bound on their memory."""

from __future__ import annotations

from typing import Any

from datafusion import SessionConfig, SessionContext

from query_service.result_cache import (
    VOLATILE,
    Entry,
    ResultCache,
    identity_of,
    is_volatile,
    key_of,
    normalise,
)


def entry(release_id: str = "1", size: int = 10) -> Entry:
    return Entry(release_id, b"x" * size, (), 1, False)


def test_every_volatile_function_of_the_engine_is_known() -> None:
    context = SessionContext(SessionConfig().with_information_schema(True))
    rows = context.sql(
        "select distinct routine_name from information_schema.routines where not is_deterministic"
    ).to_pylist()
    names = {row["routine_name"] for row in rows}
    # Marked so by the engine, but their rows follow from their arguments.
    assert names - set(VOLATILE) == {"generate_series", "range"}
    assert {"random", "uuid"} <= names


def test_volatile_errs_towards_yes() -> None:
    assert is_volatile("select NOW()")
    assert is_volatile("select 'it is now'")
    assert not is_volatile("select known from t")


def test_spellings_that_mean_the_same_share_a_key() -> None:
    assert normalise("  select  1\n as a ; ") == "select 1 as a"
    assert normalise("select 'a  b'") == "select 'a  b'"
    assert normalise('select "a  b"  from t') == 'select "a  b" from t'
    assert normalise("select 'it''s  x'  ") == "select 'it''s  x'"


def test_what_is_hard_to_read_is_left_alone() -> None:
    for sql in ("select 1 -- a  b\n  , 2", "select /* a  b */  1", "select $$a  b$$"):
        assert normalise(sql) == sql


def test_keys_differ_whenever_the_answer_may() -> None:
    base = {"release_id": "1", "sql": "select $1", "parameters": [1], "row_limit": None,
            "encoding": "json", "string_views": False}  # fmt: skip
    changes = [
        {"release_id": "2"}, {"sql": "select $1, 2"}, {"parameters": [2]}, {"parameters": ["1"]},
        {"parameters": [True]}, {"parameters": [1.0]}, {"parameters": {"1": 1}}, {"row_limit": 5},
        {"encoding": "csv"}, {"string_views": True}, {"rights": "someone"},
    ]  # fmt: skip
    keys = set()
    for change in [{}, *changes]:
        asked: dict[str, Any] = base | change
        identity = identity_of(*(asked.pop(name) for name in ("sql", "parameters", "row_limit")))
        keys.add(key_of(identity=identity, **asked))
    assert len(keys) == len(changes) + 1


def test_bytes_are_bounded_and_the_oldest_go_first() -> None:
    cache = ResultCache(100)
    for number in range(20):
        cache.put(str(number), entry())
    assert cache.bytes == 100
    assert cache.get("0") is None
    assert cache.get("19") is not None
    cache.put("large", entry(size=90))
    assert cache.get("large") is None
    cache.keep_only({"2"})
    assert cache.bytes == 0
