"""The gateway to BigQuery, as far as it goes without Google: built, rendered, nothing executed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlglot import exp, parse_one
from sqlmesh.core.console import CaptureTerminalConsole, set_console
from sqlmesh.core.context import Context
from sqlmesh.core.macros import MacroEvaluator, RuntimeStage
from sqlmesh.utils.errors import SQLMeshError

from lavra.catalog.locks import WAREHOUSE_LOCK
from lavra.errors import ConfigurationError
from lavra.modeling import lake, project_config
from lavra.modeling.bigquery import WarehouseContext, _in_turn, to_bigquery
from lavra.modeling.commands import release_environment
from lavra.settings import load_settings

PROJECT = Path(__file__).parents[3] / "sqlmesh_project"
SETTINGS = {
    "LAVRA_MODELS_GATEWAY": "bigquery",
    "LAVRA_BIGQUERY_PROJECT": "acme-lake",
    "LAVRA_BIGQUERY_LOCATION": "southamerica-east1",
    "LAVRA_BIGQUERY_LANDING_PREFIX": "landing_",
    "LAVRA_BIGQUERY_IMPERSONATE": "models@acme-lake.iam.gserviceaccount.com",
}

pytestmark = pytest.mark.timeout(600)
USE = pytest.mark.usefixtures("gateway")


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the gateway; what was active before is so again afterwards."""
    monkeypatch.setattr(lake, "_active", None)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    """The project's Context for BigQuery, with commerce alone."""
    set_console(CaptureTerminalConsole())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake, "_active", None)
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        opened = Context(paths=[str(PROJECT)])
        yield opened
        opened.close()


@USE
def test_it_is_configured_without_a_key_and_keeps_a_state_of_its_own() -> None:
    config = project_config(PROJECT)
    assert list(config.gateways) == ["bigquery"] == [config.default_gateway]
    chosen = config.gateways["bigquery"]
    assert chosen.state_schema == "sqlmesh_bigquery"
    connection = chosen.connection
    assert (connection.project, connection.location) == ("acme-lake", "southamerica-east1")
    assert connection.impersonated_service_account == SETTINGS["LAVRA_BIGQUERY_IMPERSONATE"]
    # Google's own way of finding who we are, when it is used.
    assert str(connection.method.value) == "oauth"
    for key in ("keyfile", "keyfile_json", "token", "refresh_token", "client_secret"):
        assert getattr(connection, key) is None


def test_the_lake_needs_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake, "_active", None)
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery", None)
    assert list(project_config(PROJECT).gateways) == ["lake"]


@USE
@pytest.mark.parametrize("name", ["LAVRA_BIGQUERY_PROJECT", "LAVRA_BIGQUERY_LOCATION"])
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match=f"{name} is not set"):
        project_config(PROJECT)


@USE
def test_it_says_which_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.bigquery", None)
    with pytest.raises(ConfigurationError) as refused:
        project_config(PROJECT)
    assert "lavra[models,bigquery]" in str(refused.value.remedy)


@USE
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LAVRA_BIGQUERY_PROJECT", "acme`; drop"),
        ("LAVRA_BIGQUERY_LANDING_PREFIX", "a.b"),
        ("LAVRA_BIGQUERY_IMPERSONATE", "someone@example.com"),
        ("LAVRA_MODELS_GATEWAY", "snowflake"),
    ],
)
def test_wrong_settings_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name.removeprefix("LAVRA_").lower()):
        project_config(PROJECT)


@USE
def test_only_the_lake_has_releases() -> None:
    with pytest.raises(ConfigurationError, match="only the lake has releases"):
        release_environment(load_settings(PROJECT.parent), "prod")


def test_what_would_run_there_is_bigquerys_sql(context: Any) -> None:
    """Each SQL model as the run renders it, said by the adapter that would send it."""
    assert isinstance(context, WarehouseContext)
    assert context.default_catalog == "acme-lake"
    adapter, said, audited = context.engine_adapter, {}, set()
    for model in context.models.values():
        if model.is_sql:
            # Only what lands is another relation in a run than while the project is loaded.
            is_bronze = model.name.startswith("bronze_")
            running = {"runtime_stage": RuntimeStage.EVALUATING, "engine_adapter": adapter}
            query = model.render_query(**(running if is_bronze else {}))
            text = said[model.name] = adapter._to_sql(query)
            assert parse_one(text, dialect="bigquery").named_selects == query.named_selects
            assert "AT TIME ZONE" not in text
        for audit, arguments in model.audits_with_args:
            if audit.name in audited:
                continue
            audited.add(audit.name)
            parse_one(
                adapter._to_sql(model.render_audit_query(audit, **arguments)), dialect="bigquery"
            )
    assert len(said) > 30
    assert len(audited) >= 8
    assert "`acme-lake`.`landing_shop`.`orders`" in said["bronze_commerce.orders"]
    assert "read_parquet" not in "".join(said.values()).lower()
    assert "CAST(DATETIME((TIMESTAMP(" in said["silver_commerce.checked_orders"]


def test_the_python_model_asks_in_bigquerys_words(context: Any) -> None:
    asked: list[exp.Expr] = []

    class Execution:
        default_catalog = "acme-lake"

        def with_variables(self, *_: Any, **__: Any) -> Execution:
            return self

        def resolve_table(self, name: str) -> str:
            schema, table = name.split(".")
            return f'"acme-lake"."sqlmesh__{schema}"."{table}"'

        def fetchdf(self, query: exp.Expr) -> None:
            asked.append(query)
            raise RuntimeError("asked")

    model = context.get_model("gold_commerce.customer_segments")
    with pytest.raises(SQLMeshError, match="asked"):
        list(model.render(context=Execution(), start="2026-01-01", end="2026-01-02"))
    text = context.engine_adapter._to_sql(asked[0])
    assert "DATE_DIFF(" in text
    assert "`acme-lake`.`sqlmesh__gold_commerce`.`fct_orders`" in text
    parse_one(text, dialect="bigquery")


@USE
def test_a_streams_changes_are_not_there() -> None:
    lake.activate(load_settings(PROJECT.parent))
    evaluator = MacroEvaluator(dialect="duckdb")
    call = parse_one("SELECT * FROM @STREAM(aviation, aircraft, id::BIGINT)", dialect="duckdb")
    with pytest.raises(SQLMeshError, match="BigQuery does not read"):
        evaluator.transform(call)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("CAST(a AS TIMESTAMPTZ) AT TIME ZONE 'UTC'", "DATETIME(CAST(a AS TIMESTAMP), 'UTC')"),
        ("CAST(a AS TIMESTAMP) AT TIME ZONE 'UTC'", "TIMESTAMP(CAST(a AS DATETIME), 'UTC')"),
        (
            "(CAST(a AS TIMESTAMP) AT TIME ZONE 'UTC') AT TIME ZONE 'America/Lima'",
            "DATETIME((TIMESTAMP(CAST(a AS DATETIME), 'UTC')), 'America/Lima')",
        ),
        (
            "DATE_DIFF('MINUTE', CAST(a AS TIMESTAMP), CAST(b AS TIMESTAMP))",
            "DATETIME_DIFF(CAST(b AS DATETIME), CAST(a AS DATETIME), MINUTE)",
        ),
        (
            "DATE_DIFF('HOUR', CAST(a AS TIMESTAMPTZ), CAST(b AS TIMESTAMPTZ))",
            "TIMESTAMP_DIFF(CAST(b AS TIMESTAMP), CAST(a AS TIMESTAMP), HOUR)",
        ),
        ("REGEXP_REPLACE(a, 'b', 'c', 'g')", "REGEXP_REPLACE(a, 'b', 'c')"),
        (
            "DATE_DIFF('DAY', CAST(a AS DATE), CAST(b AS DATE))",
            "DATE_DIFF(CAST(b AS DATE), CAST(a AS DATE), DAY)",
        ),
    ],
)
def test_instants_and_plain_timestamps_are_told_apart(said: str, expected: str) -> None:
    query = parse_one(f"SELECT {said} AS x FROM t", dialect="duckdb")
    assert to_bigquery(query).sql(dialect="bigquery") == f"SELECT {expected} AS x FROM t"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("a AT TIME ZONE 'UTC'", "a is an instant or a plain timestamp is not known"),
        ("REGEXP_REPLACE(a, 'b', 'c')", "replaces every match"),
        ("REGEXP_REPLACE(a, 'b', 'c', 'i')", "knows no modifiers"),
    ],
)
def test_what_cannot_be_told_is_refused(said: str, reason: str) -> None:
    with pytest.raises(SQLMeshError, match=reason):
        to_bigquery(parse_one(f"SELECT {said} AS x FROM t", dialect="duckdb"))


def test_what_bigquery_cannot_say_is_not_left_out(context: Any) -> None:
    query = parse_one("SELECT SUM(a) OVER (ORDER BY b NULLS LAST) AS x FROM t", dialect="duckdb")
    with pytest.raises(SQLMeshError, match="NULLS LAST"):
        context.engine_adapter._to_sql(query)


def test_plans_and_runs_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads stand for two processes, and a lock of threads for the catalog's."""
    theirs, is_waiting, done = threading.Lock(), threading.Event(), []

    @contextmanager
    def advisory_lock(catalog: str, key: int, *, on_wait: Callable[[], None]) -> Iterator[None]:
        assert (catalog, key) == ("the catalog", WAREHOUSE_LOCK)
        if theirs.locked():
            on_wait()
        with theirs:
            yield

    monkeypatch.setattr("lavra.modeling.bigquery.advisory_lock", advisory_lock)
    monkeypatch.setattr(
        "lavra.modeling.bigquery.active_lake", lambda: SimpleNamespace(catalog="the catalog")
    )

    class Probe(WarehouseContext):
        _state_sync = None
        console = SimpleNamespace(log_status_update=lambda _: is_waiting.set())

        def __init__(self) -> None:
            pass

        @_in_turn
        def run(self) -> None:
            self.apply()

        @_in_turn
        def apply(self) -> None:  # inside another: the lock is not asked for again
            done.append(theirs.locked())

    with theirs:
        thread = threading.Thread(target=Probe().run)
        thread.start()
        assert is_waiting.wait(60)
        assert not done
    thread.join(60)
    assert done == [True]
    assert not theirs.locked()


def test_all_that_writes_takes_its_turn() -> None:
    for name in ("plan", "apply", "run", "run_janitor", "destroy", "migrate", "rollback",
                 "invalidate_environment"):  # fmt: skip
        assert getattr(WarehouseContext, name).__wrapped__ is getattr(Context, name)
