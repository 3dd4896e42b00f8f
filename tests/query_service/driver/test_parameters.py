"""Where a question mark is a placeholder, and where it is not."""

from __future__ import annotations

import datetime as dt

import pytest

from lavra_driver import ProgrammingError
from lavra_driver.parameters import bind


@pytest.mark.parametrize(
    "sql",
    [
        "select '?' as a",
        "select 'it''s ?' as a",
        'select 1 as "what?"',
        "select 1 -- ?",
        "select 1 /* ? /* ? */ ? */",
        "select $$ ? $$",
        "select $t$ ? $$ ? $t$",
        "select 1 /* never closed ?",
    ],
)
def test_question_marks_that_are_text(sql: str) -> None:
    assert bind(sql, []) == (sql, None)
    assert bind(f"select ?, a from ({sql}\n) t", [1])[0].startswith("select $1, a from (" + sql)


def test_without_parameters_nothing_is_looked_at() -> None:
    assert bind("select ?", None) == ("select ?", None)


def test_equal_parameters_share_a_number() -> None:
    sql, values = bind("select f(?, a), ? group by f(?, a)", ["x", 1, "x"])
    assert sql == "select f($1, a), $2 group by f($1, a)"
    assert values == ["x", 1]


def test_equal_values_of_different_types_do_not() -> None:
    sql, values = bind("select ?, ?, ?, ?", [1, True, 1.0, "1"])
    assert sql == "select $1, $2, $3, $4"
    assert values == [1, True, 1.0, "1"]


def test_dates_are_cast_where_they_stand() -> None:
    sql, values = bind("select ?", [dt.date(2024, 1, 2)])
    assert (sql, values) == ("select CAST($1 AS DATE)", ["2024-01-02"])


@pytest.mark.parametrize("value", [object(), [1], {"a": 1}, dt.time(tzinfo=dt.UTC)])
def test_values_without_a_sql_type(value: object) -> None:
    with pytest.raises(ProgrammingError, match="no SQL type"):
        bind("select ?", [value])


def test_a_string_is_no_list_of_parameters() -> None:
    with pytest.raises(ProgrammingError, match="must be a list"):
        bind("select ?", "a")
