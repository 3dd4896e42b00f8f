"""Connectors as processes: complete, incremental, and through every way in which they fail."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from lavra.catalog import Catalog
from lavra.landing.connections import Connection
from lavra.landing.manifest import stream_state
from lavra.landing.status import stream_statuses
from tests.lavra.landing.connectors.conftest import INCREMENTAL, ConnectorLander


def test_all_of_a_source_lands_with_its_types(connectors: ConnectorLander) -> None:
    result = connectors.land({"count": 3}, {"types": {"price": "decimal(9,2)"}})
    assert (result.error, result.row_count, result.misfit_count) == (None, 3, 0)
    row = connectors.landed().slice(1, 1).to_pylist()[0]
    assert {name: row[name] for name in row if not name.startswith("_airbyte")} == {
        "id": 2, "name": "thing 2", "price": pytest.approx(0.5), "is_new": True,
        "at": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "day": dt.date(2026, 1, 2),
        "tags": '[2,{"a":null}]',
    }  # fmt: skip
    assert str(connectors.landed().schema.field("price").type) == "decimal128(9, 2)"


def test_an_incremental_run_reads_only_what_is_new(connectors: ConnectorLander) -> None:
    assert connectors.land({"count": 5}, INCREMENTAL).row_count == 5
    assert connectors.land({"count": 5}, INCREMENTAL).row_count == 0
    assert connectors.land({"count": 8}, INCREMENTAL).row_count == 3
    assert connectors.ids() == [1, 2, 3, 4, 5, 6, 7, 8]
    again = connectors.land({"count": 4}, INCREMENTAL, full_refresh=True)
    assert (again.row_count, connectors.ids()) == (4, [1, 2, 3, 4])
    assert connectors.land({"count": 6}, INCREMENTAL).row_count == 2


def test_a_full_read_replaces_what_was_there(connectors: ConnectorLander) -> None:
    connectors.land({"count": 5})
    connectors.land({"count": 2})
    assert connectors.ids() == [1, 2]


def test_streams_of_one_process_land_side_by_side(connectors: ConnectorLander) -> None:
    streams = [{"name": "things", **INCREMENTAL}, {"name": "also"}, {"name": "missing"}]
    things, also, missing = connectors.land_all({"count": 4}, streams)
    assert (things.row_count, also.row_count) == (4, 4)
    assert missing.error == "The connector has no stream missing."
    assert missing.remedy == "It has also, things."


def test_a_crash_goes_on_from_the_last_state(connectors: ConnectorLander, catalog: Catalog) -> None:
    config = {"count": 10, "every": 4, "after": 6, "fault": "crash"}
    result = connectors.land(config, INCREMENTAL, settings={"connector_attempts": 1})
    assert result.error is not None
    assert "status 137" in result.error
    # Records 5 and 6 had no state after them: they are read again, not landed twice.
    assert connectors.ids() == [1, 2, 3, 4]
    assert stream_state(catalog, "test", "things").state == {"stream_state": {"id": 4}}
    assert connectors.land(config, INCREMENTAL).error is None
    assert connectors.ids() == list(range(1, 11))


def test_status_counts_all_checkpoints_of_a_run(
    connectors: ConnectorLander, catalog: Catalog
) -> None:
    settings = {"connector_checkpoint_s": 0.0}
    replace = {"1": {"price": "a lot", "extra": 1}, "9": {"price": "a lot"}}
    config = {"count": 10, "every": 4, "replace": replace, "after": 6, "fault": "crash"}
    result = connectors.land(config, INCREMENTAL, settings=settings)
    assert (result.error, result.row_count, result.misfit_count) == (None, 10, 2)
    declared = Connection.model_validate(connectors.declared(config, [{"name": "things"}]))
    [one] = stream_statuses(catalog, [declared])
    assert one.last_run_shown == "succeeded: 10 rows, 2 values null"
    assert [change["column"] for change in one.schema_changes] == ["extra"]
    connectors.land(config | {"count": 11}, INCREMENTAL, settings=settings)
    [one] = stream_statuses(catalog, [declared])
    assert (one.last_row_count, one.misfit_count, one.row_count) == (1, 0, 11)


@pytest.mark.parametrize("fault", ["crash", "transient_error", "hang", "cut"])
def test_what_passes_is_tried_again_within_the_run(connectors: ConnectorLander, fault: str) -> None:
    config = {"count": 10, "every": 4, "after": 6, "fault": fault}
    settings = {"connector_silence_s": 1.5 if fault == "hang" else 60.0}
    result = connectors.land(config, INCREMENTAL, settings=settings)
    assert (result.error, result.row_count) == (None, 10)
    assert connectors.ids() == list(range(1, 11))


def test_a_full_read_that_fails_leaves_the_old_generation(connectors: ConnectorLander) -> None:
    connectors.land({"count": 3})
    config = {"count": 10, "every": 2, "after": 6, "fault": "crash", "times": 99}
    result = connectors.land(config)
    assert result.error is not None
    assert connectors.ids() == [1, 2, 3]
    assert (connectors.folder / "memory").read_text() == "3"  # attempts


def test_what_does_not_pass_is_not_tried_again(connectors: ConnectorLander) -> None:
    config = {"after": 2, "fault": "config_error", "times": 99}
    things, also = connectors.land_all(config, [{"name": "things"}, {"name": "also"}])
    assert things.error == "The connector failed: config_error with ****"
    assert (things.remedy or "").startswith("Correct the connection's `config`.")
    assert (also.error, also.row_count) == (None, 10)  # read without the one that failed
    assert (connectors.folder / "memory").read_text() == "1"


def test_secrets_never_leave_the_connector(
    connectors: ConnectorLander, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_NAME", "by-reference")
    config = {"after": 2, "fault": "exit", "times": 99, "name": "${THE_NAME}",
              "replace": {"1": {"name": "s3cret-word"}}}  # fmt: skip
    result = connectors.land(config, settings={"connector_attempts": 1})
    assert "cannot log in with ****" in (result.error or "")
    log = (connectors.settings.state / "logs" / "connectors" / "test.log").read_text()
    assert "logging in with ****" in log
    for path in connectors.settings.state.rglob("*"):
        if path.is_file() and "postgres" not in path.parts:
            assert b"s3cret-word" not in path.read_bytes(), path
            assert b"by-reference" not in path.read_bytes(), path


def test_garbage_between_records_is_logged_and_harms_nothing(connectors: ConnectorLander) -> None:
    result = connectors.land({"count": 4, "after": 2, "fault": "garbage"})
    assert (result.error, connectors.ids()) == (None, [1, 2, 3, 4])
    log = (connectors.settings.state / "logs" / "connectors" / "test.log").read_text()
    assert "a progress bar" in log


def test_what_breaks_the_schema_is_kept_as_a_change(connectors: ConnectorLander) -> None:
    replace = {
        "1": {"id": 1.0, "day": ""},
        "2": {"price": "a lot", "day": "2026-02-30"},
        "3": {"name": {"first": "x"}, "extra": 1, "is_new": "maybe"},
        "4": {"id": 4.5, "name": "\ud800 half a character"},
        "5": {"price": float("nan"), "name": "nul \x00 inside"},
    }
    beside = {"5": {"meta": {"changes": [{"field": "a", "change": "TRUNCATED", "reason": "r"}]}}}
    result = connectors.land({"count": 6, "replace": replace, "beside": beside})
    assert (result.error, result.row_count, result.misfit_count) == (None, 6, 5)
    table = connectors.landed()
    changes = [
        [(change["field"], change["change"]) for change in meta["changes"]]
        for meta in table.column("_airbyte_meta").to_pylist()
    ]
    nulled = "NULLED"
    assert changes == [
        [], [("price", nulled), ("day", nulled)], [("is_new", nulled)], [("id", nulled)],
        [("a", "TRUNCATED")], [],
    ]  # fmt: skip
    assert table.column("id").to_pylist() == [1, 2, 3, None, 5, 6]
    assert table.column("name")[2].as_py() == '{"first":"x"}'
    assert table.column("name")[4].as_py() == "nul \x00 inside"
    [undeclared] = result.schema_changes
    assert undeclared["column"] == "extra"
    assert undeclared["change"] == "is not declared: left out of 1 records"


def test_a_record_of_fifty_megabytes_lands(connectors: ConnectorLander) -> None:
    large = "x" * 50_000_000
    config = {"count": 3, "replace": {"2": {"name": large}}}
    # Through the environment of a file: a command line would be too long for it.
    result = connectors.land(config)
    assert (result.error, result.row_count) == (None, 3)
    assert connectors.landed().column("name")[1].as_py() == large


def test_records_of_another_form_land_too(connectors: ConnectorLander) -> None:
    result = connectors.land({"count": 5, "data_last": True})
    assert (result.error, connectors.ids()) == (None, [1, 2, 3, 4, 5])


def test_checkpoints_can_be_left_to_the_end(connectors: ConnectorLander) -> None:
    config = {"count": 10, "every": 2, "after": 6, "fault": "crash"}
    one = {"connector_attempts": 1}
    without = {"checkpoints": False}
    assert connectors.land(config, INCREMENTAL, settings=one, source=without).error is not None
    assert connectors.landed().num_rows == 0
    assert connectors.land(config, INCREMENTAL, settings=one, source=without).row_count == 10


def test_what_a_connector_has_is_asked_once(connectors: ConnectorLander) -> None:
    asked = connectors.folder / "memory.discovered"
    connectors.land({"count": 1})
    connectors.land({"count": 1})
    assert asked.read_text() == "x"
    connectors.land({"count": 1}, settings={"connector_discover_hours": 0.0})
    assert asked.read_text() == "xx"


def test_a_new_column_is_named_and_follows_the_policy(connectors: ConnectorLander) -> None:
    old = {"id": {"type": "integer"}}
    connectors.land({"count": 1, "columns": old})
    new = old | {"name": {"type": "string"}}
    result = connectors.land(
        {"count": 1, "columns": new}, non_breaking_schema_updates_behavior="disable_connection"
    )
    assert result.error == "The schema of things changed: name added."
    result = connectors.land({"count": 1, "columns": new})
    assert [(c["column"], c["change"]) for c in result.schema_changes][:1] == [("name", "added")]


def test_an_empty_stream_has_its_columns(connectors: ConnectorLander) -> None:
    assert connectors.land({"count": 0}).error is None
    table = connectors.landed()
    assert (table.num_rows, table.column_names[:2]) == (0, ["id", "name"])


def test_a_connector_that_is_not_one_says_so(connectors: ConnectorLander) -> None:
    result = connectors.land({}, source={"command": ["false"]})
    assert result.error is not None
    assert "did not answer spec (it ended with 1)" in result.error
    assert json.dumps(result.remedy)
