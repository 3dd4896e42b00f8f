"""The shop's source: filled once, kept, and moving when a day passes."""

import threading
from collections.abc import Iterator

import psycopg
import pytest

from lavra.settings import Settings, load_settings
from lavra.workloads.commerce.source import CommerceSource, ensure_source, leave, pass_day


@pytest.fixture
def small(settings: Settings) -> Iterator[Settings]:
    small = load_settings(settings.project, workload_scale=0.005)
    yield small
    leave(small)


def counts(source: CommerceSource) -> dict[str, int]:
    with psycopg.connect(source.url) as connection:
        return {
            table: connection.execute(f"select count(*) from {table}".encode()).fetchall()[0][0]
            for table in ("customers", "orders", "order_items", "payments", "stock_movements")
        }


def test_it_is_filled_once_even_by_two_at_a_time(small: Settings) -> None:
    sources: list[CommerceSource] = []
    threads = [
        threading.Thread(target=lambda: sources.append(ensure_source(small))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    source = sources[0]
    before = counts(source)
    assert before["customers"] == 100
    assert min(before.values()) > 0
    with psycopg.connect(source.url) as connection:
        connection.execute("delete from orders where order_id = 1")
        assert connection.execute("show wal_level").fetchone() == ("logical",)
    ensure_source(small)
    assert counts(source)["orders"] == before["orders"] - 1


def test_a_lost_catalogue_is_written_again_as_it_was(small: Settings) -> None:
    source = ensure_source(small)
    products = source.catalogue / "products.csv"
    content = products.read_bytes()
    assert content.startswith(b"\xef\xbb\xbfProduct ID,Name,")
    assert b"NA" in content
    assert "ã".encode("cp1252") in (source.catalogue / "sellers.csv").read_bytes()
    products.unlink()
    ensure_source(small)
    assert products.read_bytes() == content


def test_a_day_passes(small: Settings) -> None:
    source = ensure_source(small)
    before = counts(source)
    with psycopg.connect(source.url) as connection:
        connection.execute("update orders set status = 'paid' where order_id <= 40")
        newest = connection.execute("select max(updated_at) from orders").fetchone()
    added = pass_day(source, orders=10)
    assert (added["orders"], added["customers"], added["payments"]) == (10, 2, 10)
    assert added["updated"] > 0
    assert counts(source) == {table: before[table] + added[table] for table in before}
    with psycopg.connect(source.url) as connection:
        later = connection.execute(
            "select count(*) from orders where updated_at > %s", newest
        ).fetchone()
    assert later == (added["orders"] + added["updated"],)
