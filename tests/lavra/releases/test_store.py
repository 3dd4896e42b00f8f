"""Releases in the catalog: added, listed, told to listeners, never changed."""

import datetime as dt

import psycopg
import pytest

from lavra.catalog import Catalog
from lavra.errors import ReleaseError
from lavra.releases.store import (
    CHANNEL,
    ReleaseTable,
    current_release,
    get_release,
    insert_release,
    list_releases,
    retained_snapshots,
)

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def a_table(name: str = "daily", data_through: dt.datetime | None = NOON) -> ReleaseTable:
    return ReleaseTable(
        schema_name="gold_shop",
        table_name=name,
        physical_schema="sqlmesh__gold_shop",
        physical_table=f"gold_shop__{name}__1",
        description="Orders of a day.",
        columns=[{"name": "day", "type": "DATE", "description": "The day.", "tags": []}],
        grain=["day"],
        time_column="day",
        upstream=["silver_shop.orders"],
        audits=[{"name": "not_null", "passed": True, "blocking": True, "passed_at": None}],
        row_count=3,
        bytes=1000,
        data_through=data_through,
    )


def add(connection: psycopg.Connection, snapshot: int, environment: str = "prod") -> int:
    return insert_release(
        connection, environment=environment, snapshot_id=snapshot, cause="run", tables=[a_table()]
    )


def test_before_the_first_release_there_is_none(catalog: Catalog) -> None:
    with catalog.connect() as connection:
        assert current_release(connection) is None
        assert list_releases(connection) == []


def test_a_release_is_read_back_as_it_was_written(catalog: Catalog) -> None:
    with catalog.connect() as connection:
        release_id = add(connection, 7)
    with catalog.connect() as connection:
        release = get_release(connection, release_id)
    assert (release.id, release.snapshot_id, release.cause) == (release_id, 7, "run")
    assert release.tables == [a_table()]
    assert release.data_through == NOON
    assert release.to_dict()["tables"][0]["grain"] == ["day"]


def test_the_newest_of_an_environment_is_current(catalog: Catalog) -> None:
    with catalog.connect() as connection:
        add(connection, 1)
        second = add(connection, 2)
        other = add(connection, 3, "dev")
        current, of_dev = current_release(connection), current_release(connection, "dev")
        assert current is not None
        assert of_dev is not None
        assert (current.id, of_dev.id) == (second, other)
        assert [r.snapshot_id for r in list_releases(connection)] == [3, 2, 1]
        assert [r.snapshot_id for r in list_releases(connection, "prod", limit=1)] == [2]


def test_data_through_is_unknown_when_one_table_has_none(catalog: Catalog) -> None:
    with catalog.connect() as connection:
        release_id = insert_release(
            connection,
            environment="prod",
            snapshot_id=1,
            cause="plan",
            tables=[a_table(), a_table("other", data_through=None)],
        )
        assert get_release(connection, release_id).data_through is None


def test_an_unknown_release_is_an_error_that_says_where_to_look(catalog: Catalog) -> None:
    with catalog.connect() as connection, pytest.raises(ReleaseError, match="release list"):
        get_release(connection, 999)


def test_nothing_is_seen_of_a_release_that_fails_halfway(catalog: Catalog) -> None:
    with pytest.raises(ZeroDivisionError), catalog.connect() as connection:
        add(connection, 1)
        1 / 0  # noqa: B018
    with catalog.connect() as connection:
        assert list_releases(connection) == []


def test_listeners_hear_of_it_when_it_is_committed(catalog: Catalog) -> None:
    with catalog.connect(autocommit=True) as listener:
        listener.execute(f"listen {CHANNEL}".encode())
        with catalog.connect() as connection:
            release_id = add(connection, 1, "dev")
            assert list(listener.notifies(timeout=0.2)) == []
        heard = [n.payload for n in listener.notifies(timeout=30, stop_after=1)]
    assert heard == [f"dev:{release_id}"]


def test_the_newest_releases_of_each_environment_keep_their_snapshots(catalog: Catalog) -> None:
    with catalog.connect() as connection:
        for snapshot in (1, 2, 3):
            add(connection, snapshot)
        add(connection, 9, "dev")
        assert retained_snapshots(connection, keep=2) == {2, 3, 9}
