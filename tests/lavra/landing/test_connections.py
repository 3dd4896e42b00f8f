"""Connections as code: the shipped ones are right, and a wrong one is told where."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from lavra.errors import ConfigurationError
from lavra.landing.connections import load_connection, load_connections
from lavra.landing.lint import lint
from lavra.landing.references import resolve, unset

REPOSITORY = Path(__file__).parents[3]
GOOD = """\
name: shop
description: d
owner: o
source:
  connector: postgres
  config: {host: h, database: d, username: u}
freshness: 26h
streams:
  - name: orders
    sync_mode: incremental_append
    cursor_field: updated_at
    primary_key: order_id
"""


def write(project: Path, text: str, name: str = "shop") -> Path:
    path = project / "airbyte" / "connections" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_shipped_connections_are_well_formed() -> None:
    assert lint(REPOSITORY) == []
    names = {c.name: [s.name for s in c.streams] for c in load_connections(REPOSITORY)}
    assert names["shop"] == ["customers", "orders", "order_items", "payments", "stock_movements"]
    assert names["catalogue"] == ["products", "sellers", "categories"]


def test_a_connection_is_read(project: Path) -> None:
    connection = load_connection(write(project, GOOD))
    assert connection.bronze_namespace == "shop"
    assert connection.freshness == dt.timedelta(hours=26)
    assert connection.stream("orders").primary_key == ("order_id",)
    assert lint(project) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("owner: o", "ownr: o", r"owner: this key is missing.*line 3: ownr: there is no such key"),
        ("cursor_field: updated_at", "", r"line 9: streams\.0: .* needs a cursor_field"),
        ("incremental_append", "incremental", r"line 10: streams\.0\.sync_mode"),
        ("freshness: 26h", "freshness: soon", r"line 7: freshness: must be a duration"),
        ("postgres", "orakle", r"line 5: source.connector: there is no connector"),
        ("    primary_key", "    types: {a: money}\n    primary_key", r"'money' is not a type"),
        ("name: orders", "name: Orders", r"line 9: streams\.0\.name"),
        ("owner: o", "owner: [o", r"line \d+: not valid YAML"),
        ("owner: o", "owner: o\nowner: p", r"line 4: owner stands here twice"),
        ("name: shop", "name: store", r"name is store, but the file is called shop"),
        ("connector: postgres", "connector: csv", r"orders needs a `path`"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    project: Path, before: str, after: str, said: str
) -> None:
    path = write(project, GOOD.replace(before, after, 1))
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_connection(path)
    assert str(path) in caught.value.message
    assert caught.value.remedy
    [problem] = lint(project)
    assert problem.message == caught.value.message


def test_lint_tells_of_every_file(project: Path) -> None:
    write(project, "", "empty")
    write(project, "- a list\n", "listed")
    write(project, GOOD)
    write(project, GOOD).with_name("other.yml").write_text(GOOD)
    assert len(lint(project)) == 3


def test_two_connections_may_not_land_in_one_folder(project: Path) -> None:
    write(project, GOOD)
    write(project, GOOD.replace("name: shop", "name: store\nnamespace: shop"), "store")
    [problem] = lint(project)
    assert "both land bronze/shop/orders" in problem.message


def test_an_unknown_connection_is_named(project: Path) -> None:
    write(project, GOOD)
    with pytest.raises(ConfigurationError, match=r"no connection nope.*There are: shop"):
        load_connections(project, ["nope"])


def test_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_HOST", "db")
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    value = {"a": "${SHOP_HOST}:${SHOP_PORT:-5432}", "b": ["${SHOP_PASSWORD}"], "c": 1}
    assert resolve(value) == {"a": "db:5432", "b": [""], "c": 1}
    assert unset(value) == ["SHOP_PASSWORD"]
