"""Names from hostile headers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lavra.scaffold import naming


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Exchange rate", "exchange_rate"),
        ("unitPrice", "unit_price"),
        ("HTTPStatus", "http_status"),
        ("Preço Médio (R$)", "preco_medio_r"),
        ("Größe", "grosse"),
        ("  a -- b;drop  ", "a_b_drop"),
        ("😀", ""),
        ("日本", ""),
    ],
)
def test_text_becomes_snake_case(text: str, expected: str) -> None:
    assert naming.snake_case(text) == expected


def test_headers_that_make_no_name_get_one() -> None:
    headers = ["", "2019 sales", "order", "a b", "a-b", "A.B", "日本"]
    assert naming.column_names(headers, "orders") == [
        "column_1", "column_2019_sales", "order_order", "a_b", "a_b_2", "a_b_3", "column_7",
    ]  # fmt: skip


def test_a_name_made_unique_does_not_take_a_later_ones() -> None:
    assert naming.column_names(["a", "a", "a_2"], "t") == ["a", "a_2", "a_2_2"]


@given(st.lists(st.text(max_size=120), min_size=1, max_size=30))
def test_names_are_plain_unique_and_stable(headers: list[str]) -> None:
    names = naming.column_names(headers, "things")
    assert len(set(names)) == len(headers)
    for name in names:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert len(name) <= naming.LONGEST + len("thing_")
        assert name not in naming.RESERVED
    assert naming.column_names(names, "things") == names


@given(st.text(max_size=80))
def test_a_folder_always_gives_a_name_that_settings_take(folder: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,40}", naming.project_name(folder))


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("products", "product"),
        ("categories", "category"),
        ("boxes", "box"),
        ("addresses", "address"),
        ("sales", "sale"),
        ("status", "status"),
        ("analysis", "analysis"),
        ("orders_items", "orders_item"),
        ("bus", "bus"),
    ],
)
def test_the_last_word_is_put_in_the_singular(plural: str, singular: str) -> None:
    assert naming.singular(plural) == singular


@pytest.mark.parametrize(
    ("one", "many"), [("city", "cities"), ("state", "states"), ("box", "boxes"), ("day", "days")]
)
def test_the_last_word_is_put_in_the_plural(one: str, many: str) -> None:
    assert naming.plural(one) == many
