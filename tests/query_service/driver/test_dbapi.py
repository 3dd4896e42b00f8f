"""The DB-API: rows, types, streaming, errors, retries, cancel."""

from __future__ import annotations

import datetime as dt
import threading
import time
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import lavra_driver
from lavra_driver import exceptions, transport

if TYPE_CHECKING:
    from toy_service import ToyService

    from lavra_driver import Connection


def test_module_states_pep_249() -> None:
    assert (lavra_driver.apilevel, lavra_driver.paramstyle) == ("2.0", "qmark")
    assert lavra_driver.threadsafety == 2
    for name in ("DataError", "OperationalError", "IntegrityError", "NotSupportedError"):
        assert issubclass(getattr(lavra_driver, name), lavra_driver.DatabaseError)
        assert getattr(lavra_driver.Connection, name) is getattr(lavra_driver, name)


def test_rows_and_description(connection: Connection) -> None:
    cursor = connection.execute("select * from gold_commerce.orders order by order_id")
    assert cursor.description is not None
    assert [column[:2] for column in cursor.description] == [
        ("order_id", "BIGINT"),
        ("ordered_at", "TIMESTAMP"),
        ("state", "VARCHAR"),
        ("revenue", "DECIMAL(18, 2)"),
    ]
    assert cursor.description[3][4:6] == (18, 2)
    assert cursor.description[0][1] == lavra_driver.NUMBER
    assert cursor.description[1][1] == lavra_driver.DATETIME
    assert cursor.fetchall() == [
        (1, dt.datetime(1970, 1, 1), "SP", Decimal("10.50")),
        (2, dt.datetime(1970, 1, 2), "RJ", Decimal("20.00")),
        (3, None, "São Paulo", None),
    ]
    assert cursor.rowcount == 3
    assert cursor.snapshot_id == "7"
    assert cursor.data_through == dt.datetime(2024, 1, 31, tzinfo=dt.UTC)


def test_fetches_of_each_kind_share_one_position(connection: Connection) -> None:
    cursor = connection.execute("select a from generate_series(1, 7) as t(a) order by a")
    assert cursor.fetchone() == (1,)
    assert cursor.fetchmany(3) == [(2,), (3,), (4,)]
    cursor.arraysize = 2
    assert cursor.fetchmany() == [(5,), (6,)]
    assert cursor.rownumber == 6
    assert list(cursor) == [(7,)]
    assert cursor.fetchone() is None
    assert cursor.fetchmany() == []
    assert cursor.fetchall() == []


def test_empty_result_has_its_columns(connection: Connection) -> None:
    cursor = connection.execute("select order_id, state from gold_commerce.orders where false")
    assert [c[0] for c in cursor.description or ()] == ["order_id", "state"]
    assert cursor.fetchall() == []
    again = connection.execute("select order_id from gold_commerce.orders where false")
    assert again.fetch_arrow_table().schema.names == ["order_id"]


def test_arrow_table(connection: Connection) -> None:
    cursor = connection.execute("select order_id from gold_commerce.orders order by 1")
    assert cursor.fetch_arrow_table().to_pydict() == {"order_id": [1, 2, 3]}
    cursor = connection.execute("select order_id from gold_commerce.orders")
    cursor.fetchone()
    with pytest.raises(lavra_driver.InterfaceError, match="fetched already"):
        cursor.fetch_arrow_table()


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -5, 2**62, 10**30, 1.5, "it's ? $1 ç", Decimal("-12.340"), b"\x00\xff", b"",
        dt.date(2024, 2, 29), dt.datetime(2024, 2, 29, 1, 2, 3, 456), dt.time(1, 2, 3),
        dt.timedelta(days=-1, microseconds=5),
    ],
    ids=repr,
)  # fmt: skip
def test_parameters_keep_value_and_type(connection: Connection, value: Any) -> None:
    assert connection.execute("select ? as v", [value]).fetchall() == [(value,)]


def test_float_parameters_that_json_has_no_form_for(connection: Connection) -> None:
    row = connection.execute("select ?, ?", [float("inf"), float("nan")]).fetchone()
    assert row is not None
    assert row[0] == float("inf")
    assert row[1] != row[1]


def test_aware_datetime_becomes_utc(connection: Connection) -> None:
    zone = dt.timezone(dt.timedelta(hours=-3))
    given = dt.datetime(2024, 1, 1, 22, tzinfo=zone)
    assert connection.execute("select ?", [given]).fetchone() == (dt.datetime(2024, 1, 2, 1),)


def test_parameters_are_bound_not_spliced(connection: Connection, service: ToyService) -> None:
    hostile = "x'; drop table t; --"
    cursor = connection.execute(
        "select count(*) from gold_commerce.orders where state = ?", [hostile]
    )
    assert cursor.fetchall() == [(0,)]
    body = service.requests[-1][3]
    assert body["parameters"] == [hostile]
    assert hostile not in body["sql"]


def test_named_and_numbered_parameters_pass_through(connection: Connection) -> None:
    assert connection.execute("select $a + $b", {"a": 1, "b": 2}).fetchall() == [(3,)]
    assert connection.execute("select $2 - $1", [1, 5]).fetchall() == [(4,)]


def test_wrong_number_of_parameters(connection: Connection) -> None:
    with pytest.raises(lavra_driver.ProgrammingError, match=r"2 placeholders.*1 parameters"):
        connection.execute("select ?, ?", [1])


@pytest.mark.parametrize("code", sorted(exceptions.ERRORS_BY_CODE))
def test_every_code_becomes_its_exception(
    connection: Connection, service: ToyService, code: str
) -> None:
    service.problems.append(
        (418, {"code": code, "detail": "because", "query_id": "q1", "retryable": False}, {})
    )
    with pytest.raises(exceptions.ERRORS_BY_CODE[code]) as caught:
        connection.execute("select 1")
    assert str(caught.value) == f"{code}: because"
    assert (caught.value.code, caught.value.query_id) == (code, "q1")


def test_codes_are_the_services_own() -> None:
    from lavra import errors

    def codes(kind: type[errors.LavraError]) -> set[str]:
        found = {kind.code} if "code" in kind.__dict__ else set()
        return found.union(*(codes(sub) for sub in kind.__subclasses__()))

    assert codes(errors.QueryError) | {"internal"} == set(exceptions.ERRORS_BY_CODE)


def test_retries_only_what_may_succeed(connection: Connection, service: ToyService) -> None:
    busy = (429, {"code": "too_many_queries", "retryable": True}, {"Retry-After": "0.01"})
    service.problems += [busy, busy]
    assert connection.execute("select 1").fetchall() == [(1,)]
    assert len(service.requests) == 3
    service.problems.append((507, {"code": "resources_exhausted", "retryable": False}, {}))
    with pytest.raises(lavra_driver.OperationalError):
        connection.execute("select 1")
    assert len(service.requests) == 4


def test_retries_end(service: ToyService) -> None:
    busy = (429, {"code": "too_many_queries", "retryable": True}, {"Retry-After": "0"})
    service.problems += [busy] * 5
    with (
        lavra_driver.connect("127.0.0.1", service.port, retries=1) as connection,
        pytest.raises(lavra_driver.OperationalError, match="too_many_queries"),
    ):
        connection.execute("select 1")
    assert len(service.requests) == 2


@pytest.mark.parametrize("cut", [0, 50, 300, -8])
def test_broken_stream_never_looks_complete(
    connection: Connection, service: ToyService, cut: int
) -> None:
    sql = "select a from generate_series(1, 5) as t(a)"
    connection.execute(sql).fetchall()
    whole = 10_000 if cut >= 0 else _stream_length(service, sql)
    service.cut = cut if cut >= 0 else whole + cut
    with pytest.raises(lavra_driver.DatabaseError):
        connection.execute(sql).fetchall()


def _stream_length(service: ToyService, sql: str) -> int:
    table = service.run(sql, None)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return int(sink.getvalue().size)


def test_proxy_page_is_no_result(connection: Connection, service: ToyService) -> None:
    service.page = "<html>Welcome to my proxy</html>"
    with pytest.raises(lavra_driver.InternalError, match="not an Arrow stream"):
        connection.execute("select 1")
    with pytest.raises(lavra_driver.InternalError, match="not JSON"):
        connection.tables()


def test_unreachable_service() -> None:
    from tests.conftest import free_port

    with (
        lavra_driver.connect("127.0.0.1", free_port()) as connection,
        pytest.raises(lavra_driver.OperationalError, match="cannot reach http://127"),
    ):
        connection.execute("select 1")


def test_service_that_does_not_answer(service: ToyService) -> None:
    from lavra_driver.connection import Connection
    from lavra_driver.transport import Endpoint, Transport

    service.delay_s = 1
    with (
        Connection(Transport(Endpoint(service.url, timeout_s=0.2))) as connection,
        pytest.raises(lavra_driver.OperationalError, match="did not answer in time"),
    ):
        connection.execute("select 1")


def test_limits_travel_with_the_query(service: ToyService) -> None:
    with lavra_driver.connect(
        "127.0.0.1", service.port, "dev", timeout_s=9, row_limit=2, snapshot="5", api_key="s3cret"
    ) as connection:
        connection.execute("select 1")
        assert "s3cret" not in repr(connection) + repr(connection.transport.endpoint)
    _, _, headers, body = service.requests[-1]
    assert headers["Authorization"] == "Bearer s3cret"
    assert body == {
        "sql": "select 1", "environment": "dev", "timeout_s": 9, "row_limit": 2, "snapshot": "5",
    }  # fmt: skip


def test_cancel_by_another_thread(connection: Connection, service: ToyService) -> None:
    cursor = connection.cursor()
    query_id = cursor.reserve_query_id()
    service.delay_s = 0.3
    thread = threading.Thread(target=cursor.execute, args=("select 1",))
    thread.start()
    time.sleep(0.1)
    assert connection.cancel(query_id)
    thread.join()
    assert service.cancelled == [query_id] == [cursor.query_id]
    assert not connection.cancel("gone")


def test_cancelled_result_cannot_be_read_on(connection: Connection) -> None:
    cursor = connection.execute("select a from generate_series(1, 9) as t(a)")
    cursor.fetchone()
    cursor.cancel()
    with pytest.raises(lavra_driver.OperationalError):
        cursor.fetchall()


def test_a_bearer_token_is_asked_for_at_each_call(service: ToyService) -> None:
    tokens = iter(["first", "second"])
    with lavra_driver.connect(service.url, token=lambda: next(tokens)) as connection:
        connection.execute("select 1").fetchall()
        connection.execute("select 1").fetchall()
    sent = [headers["Authorization"] for _, _, headers, _ in service.requests]
    assert sent == ["Bearer first", "Bearer second"]
    with pytest.raises(lavra_driver.InterfaceError, match="not both"):
        lavra_driver.connect(service.url, token="a", api_key="b")


def test_closed_things_refuse(connection: Connection) -> None:
    cursor = connection.cursor()
    with pytest.raises(lavra_driver.ProgrammingError, match="nothing was executed"):
        cursor.fetchone()
    with pytest.raises(lavra_driver.NotSupportedError):
        cursor.executemany("insert into t values (?)", [[1]])
    cursor.close()
    with pytest.raises(lavra_driver.InterfaceError, match="cursor is closed"):
        cursor.execute("select 1")
    connection.close()
    with pytest.raises(lavra_driver.InterfaceError, match="connection is closed"):
        connection.cursor()


def test_metadata(connection: Connection) -> None:
    assert connection.ping()
    assert connection.current_snapshot()["id"] == "7"
    assert {t["name"] for t in connection.tables()} == {"orders", "rates"}
    assert connection.table("gold_commerce", "orders")["grain"] == ["order_id"]
    with pytest.raises(lavra_driver.ProgrammingError, match="unknown_table"):
        connection.table("gold_commerce", "a/b?c")


def test_an_error_has_the_id_of_its_query(connection: Connection) -> None:
    cursor = connection.cursor()
    with pytest.raises(lavra_driver.ProgrammingError) as caught:
        cursor.execute("select nothing")
    assert caught.value.query_id == cursor.query_id


def test_connections_that_share_a_pool_keep_its_sockets_and_not_who_asks(
    service: ToyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_shared_pools", {})
    for key in ("a-key", "another"):
        shared = lavra_driver.connect(
            "127.0.0.1", service.port, api_key=key, share_pool=True, timeout_s=60
        )
        with shared:
            endpoint = shared.transport.endpoint
            assert shared.execute("select 1").fetchall() == [(1,)]
    (pool,) = transport._shared_pools.values()
    try:
        assert pool.connection_from_url(service.url).num_connections == 1
        asked = [headers["Authorization"] for _, _, headers, _ in service.requests]
        assert asked == ["Bearer a-key", "Bearer another"]
        # A fork of the process would read the answers to its parent's requests.
        monkeypatch.setattr(transport, "os", SimpleNamespace(getpid=lambda: -1))
        assert transport._shared_pool(endpoint) is not pool
    finally:
        pool.clear()
