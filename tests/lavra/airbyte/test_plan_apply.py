"""`lavra ingest plan` and `apply` against a server that keeps Airbyte's published contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from lavra.airbyte.server import AirbyteServer
from lavra.catalog import Catalog
from lavra.errors import AirbyteError, ConfigurationError
from tests.lavra.airbyte.conftest import MANIFEST, Workspace
from tests.lavra.airbyte.contract_server import WORKSPACE, Airbyte, Offered

SHOP: dict[str, Any] = {
    "name": "shop",
    "description": "The shop.",
    "owner": "o",
    "source": {
        "connector": "postgres",
        "config": {
            "host": "db.example.com", "port": "${SHOP_PORT:-5432}", "database": "shop",
            "username": "lavra", "password": "${SHOP_PASSWORD}", "ssl_mode": "require",
        },
    },
    "schedule": {"schedule_type": "cron", "cron_expression": "0 0 6 * * ?"},
    "streams": [
        {
            "name": "orders", "namespace": "public", "sync_mode": "incremental_deduped_history",
            "cursor_field": "updated_at", "primary_key": ["id"],
        },
        {"name": "users", "namespace": "public", "selected_fields": ["id", "name"]},
    ],
}  # fmt: skip
CUSTOM: dict[str, Any] = {
    "name": "erp",
    "description": "A connector of our own.",
    "owner": "o",
    "source": {
        "connector": "erp", "definition_id": "99999999-2222-3333-4444-555555555555",
        "config": {"url": "https://erp", "token": "${ERP_TOKEN}", "pages": 3},
    },
    "streams": [
        {
            "name": "users",
            "mappers": [
                {
                    "type": "hashing",
                    "mapper_configuration": {
                        "targetField": "name", "method": "SHA-256", "fieldNameSuffix": "_hashed",
                    },
                }
            ],
        }
    ],
}  # fmt: skip
LOW_CODE: dict[str, Any] = {
    "name": "weather",
    "description": "A manifest.",
    "owner": "o",
    "source": {
        "connector": "weather-api", "manifest": "manifests/weather.yaml",
        "config": {"city": "Recife", "api_key": "${WEATHER_KEY}"},
    },
    "streams": [{"name": "purchases"}],
}  # fmt: skip


def test_after_an_apply_a_plan_is_empty(workspace: Workspace) -> None:
    workspace.declare(SHOP, CUSTOM, LOW_CODE)
    assert workspace.apply() == [
        "create definition weather-api",
        "create source erp",
        "create source shop",
        "create source weather",
        "create destination lake",
        "create connection erp",
        "create connection shop",
        "create connection weather",
    ]
    again = workspace.plan()
    assert again.is_empty, again.to_json()
    assert again.new_streams == {}
    shop = next(s for s in workspace.airbyte.sources.values() if s["name"] == "shop")
    assert shop["configuration"]["port"] == 5432
    assert shop["configuration"]["password"] == "the-shop_password"
    assert shop["configuration"]["ssl_mode"] == {"mode": "require"}
    weather = next(s for s in workspace.airbyte.sources.values() if s["name"] == "weather")
    assert weather["definitionId"] in workspace.airbyte.definitions
    before = list(workspace.airbyte.writes())
    assert workspace.apply() == []
    assert workspace.airbyte.writes() == before


def test_no_secret_is_kept_or_shown(workspace: Workspace, catalog: Catalog) -> None:
    workspace.declare(SHOP, CUSTOM, LOW_CODE)
    shown = str(workspace.plan()) + str(workspace.plan().to_json())
    workspace.apply()
    with catalog.connect() as connection:
        kept = str(connection.execute("select * from lavra.airbyte_resource").fetchall())
    for secret in ("the-shop_password", "the-hmac_secret", "the-erp_token", "the-weather_key"):
        assert secret not in shown + kept


def test_a_secret_that_changed_is_sent_again_and_named_by_digest(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.declare(SHOP)
    workspace.apply()
    monkeypatch.setenv("SHOP_PASSWORD", "another")
    (change,) = workspace.plan().changes
    assert [(f.field, f.cause) for f in change.fields] == [("configuration.password", "secret")]
    assert "another" not in str(change.fields)
    assert "digest" in str(change.fields[0].after)
    workspace.apply()
    assert workspace.airbyte.only("sources")["configuration"]["password"] == "another"
    assert workspace.plan().is_empty


def _rename_host(airbyte: Airbyte) -> None:
    next(iter(airbyte.sources.values()))["configuration"]["host"] = "elsewhere"


def _add_key(airbyte: Airbyte) -> None:
    next(iter(airbyte.sources.values()))["configuration"]["jdbc_url_params"] = "x=1"


def _reschedule(airbyte: Airbyte) -> None:
    next(iter(airbyte.connections.values()))["schedule"] = {
        "scheduleType": "cron", "cronExpression": "0 30 7 * * ? UTC",
    }  # fmt: skip


def _pause(airbyte: Airbyte) -> None:
    next(iter(airbyte.connections.values()))["status"] = "inactive"


def _change_mode(airbyte: Airbyte) -> None:
    streams = next(iter(airbyte.connections.values()))["configurations"]["streams"]
    next(s for s in streams if s["name"] == "orders")["syncMode"] = "full_refresh_append"


def _deselect(airbyte: Airbyte) -> None:
    configured = next(iter(airbyte.connections.values()))["configurations"]
    configured["streams"] = [s for s in configured["streams"] if s["name"] != "users"]


def _select_another(airbyte: Airbyte) -> None:
    configured = next(iter(airbyte.connections.values()))["configurations"]
    configured["streams"].append(
        {"name": "extra", "namespace": "public", "syncMode": "full_refresh_append"}
    )


def _all_fields(airbyte: Airbyte) -> None:
    streams = next(iter(airbyte.connections.values()))["configurations"]["streams"]
    next(s for s in streams if s["name"] == "users")["selectedFields"] = []


def _namespace(airbyte: Airbyte) -> None:
    next(iter(airbyte.connections.values()))["namespaceFormat"] = "other"


@pytest.mark.parametrize(
    ("edit", "where", "cause"),
    [
        (_rename_host, "configuration.host", "drifted"),
        (_add_key, "configuration.jdbc_url_params", "added on the server"),
        (_reschedule, "schedule.cronExpression", "drifted"),
        (_pause, "status", "drifted"),
        (_change_mode, "streams.public.orders.syncMode", "drifted"),
        (_deselect, "streams.public.users.syncMode", "drifted"),
        (_select_another, "streams.public.extra.syncMode", "added on the server"),
        (_all_fields, "streams.public.users.selectedFields", "drifted"),
        (_namespace, "namespaceFormat", "drifted"),
    ],
)
def test_each_kind_of_drift_is_named_and_undone(
    workspace: Workspace, edit: Callable[[Airbyte], None], where: str, cause: str
) -> None:
    workspace.airbyte.offered["shop"].append(Offered("extra", "public"))
    workspace.declare(SHOP)
    workspace.apply()
    edit(workspace.airbyte)
    (change,) = workspace.plan().changes
    assert (where, cause) in [(f.field, f.cause) for f in change.fields]
    workspace.apply()
    assert workspace.plan().is_empty


def test_what_was_removed_on_the_server_is_made_again(workspace: Workspace) -> None:
    workspace.declare(SHOP)
    workspace.apply()
    workspace.airbyte.connections.clear()
    assert workspace.apply() == ["create connection shop"]
    assert workspace.plan().is_empty


def test_changes_of_the_declaration_say_what_they_destroy(workspace: Workspace) -> None:
    workspace.declare(SHOP)
    workspace.apply()
    orders, users = SHOP["streams"]
    harmless = SHOP | {"schedule": {"schedule_type": "manual"}}
    workspace.declare(harmless)
    (change,) = workspace.plan().changes
    assert not change.is_destructive
    for streams in ([orders], [orders | {"sync_mode": "full_refresh_append"}, users]):
        workspace.declare(SHOP | {"streams": streams})
        (change,) = workspace.plan().changes
        assert change.is_destructive
    workspace.apply()
    assert workspace.plan().is_empty


def test_what_is_no_longer_declared_is_deleted_and_nothing_else(workspace: Workspace) -> None:
    workspace.declare(CUSTOM)
    workspace.apply()
    theirs = dict(workspace.airbyte.only("sources"), sourceId="x", name="theirs")
    workspace.airbyte.sources["x"] = theirs
    workspace.declare()
    plan = workspace.plan()
    assert all(change.is_destructive for change in plan.changes)
    assert workspace.apply() == [
        "delete connection erp", "delete source erp", "delete destination lake",
    ]  # fmt: skip
    assert list(workspace.airbyte.sources) == ["x"]


def test_another_connector_replaces_source_and_connection(workspace: Workspace) -> None:
    workspace.declare(CUSTOM)
    workspace.apply()
    other = {"connector": "faker", "config": {"count": 5}}
    workspace.declare(CUSTOM | {"source": other})
    assert workspace.apply() == ["replace source erp", "replace connection erp"]
    assert workspace.airbyte.only("sources")["sourceType"] == "faker"
    assert len(workspace.airbyte.connections) == 1
    assert workspace.plan().is_empty


def test_a_changed_manifest_is_a_new_version(workspace: Workspace) -> None:
    workspace.declare(LOW_CODE)
    workspace.apply()
    path = workspace.project / "airbyte" / "manifests" / "weather.yaml"
    path.write_text(yaml.safe_dump(MANIFEST | {"version": "6.1.0"}))
    assert workspace.apply() == ["update definition weather-api"]
    assert workspace.airbyte.only("definitions")["version"] == 2
    assert workspace.plan().is_empty


def test_new_streams_of_the_source_are_named_once(workspace: Workspace) -> None:
    workspace.declare(SHOP)
    workspace.apply()
    workspace.airbyte.offered["shop"].append(Offered("refunds", "public"))
    plan = workspace.plan()
    assert plan.is_empty
    assert plan.new_streams == {"shop": ("public.refunds",)}


def test_what_others_made_is_taken_over_only_after_asking(workspace: Workspace) -> None:
    workspace.declare(CUSTOM)
    workspace.apply()
    for key in list(workspace.state.all()):
        workspace.state.forget(*key)
    plan = workspace.plan()
    assert {change.action for change in plan.changes} == {"adopt"}
    assert all(change.is_destructive for change in plan.changes)
    workspace.apply()
    assert workspace.plan().is_empty
    assert len(workspace.airbyte.sources) == 1


@pytest.mark.parametrize("lost", ["request", "answer"])
def test_an_apply_that_dies_between_any_two_calls_is_finished_by_the_next(
    workspace: Workspace, lost: str
) -> None:
    """Each write in turn is the last one; what it made, or did not, is found by the next apply."""
    workspace.declare(SHOP, LOW_CODE)
    airbyte = workspace.airbyte
    for last in range(1, 20):
        dead = False
        seen = 0

        def die(method: str, path: str, last: int = last) -> None:
            nonlocal seen, dead
            if method == "GET" or "token" in path:
                return
            seen += 1
            if seen == last:
                dead = True
                raise ConnectionAbortedError

        for store in (airbyte.sources, airbyte.destinations, airbyte.connections,
                      airbyte.definitions):  # fmt: skip
            store.clear()
        for key in list(workspace.state.all()):
            workspace.state.forget(*key)
        setattr(airbyte, "before_call" if lost == "request" else "after_call", die)
        try:
            workspace.apply()
        except AirbyteError:
            pass
        finally:
            airbyte.before_call = airbyte.after_call = None
        if not dead:
            break
        workspace.apply()
        assert workspace.plan().is_empty
        counts = [len(s) for s in (airbyte.sources, airbyte.destinations, airbyte.connections)]
        assert counts == [2, 1, 2]
        assert len(airbyte.definitions) == 1
    else:
        pytest.fail("the apply never ran through")
    assert last == 7


def test_what_the_server_refuses_names_the_step_and_its_words(workspace: Workspace) -> None:
    workspace.airbyte.offered["erp"] = [Offered("users", source_key="id")]
    broken = CUSTOM | {"streams": [{"name": "users", "primary_key": ["name"]}]}
    workspace.declare(broken)
    with pytest.raises(AirbyteError, match=r"create connection erp: .*defined by the source"):
        workspace.apply()
    workspace.declare(CUSTOM)
    assert workspace.apply() == ["create connection erp"]


def test_wrong_credentials_and_a_server_that_is_away_say_what_to_check(
    workspace: Workspace,
) -> None:
    stranger = AirbyteServer(workspace.url, WORKSPACE, client_id="x", client_secret="y")
    with pytest.raises(AirbyteError, match="LAVRA_AIRBYTE_CLIENT_ID"):
        stranger.resources("source")
    away = AirbyteServer("http://127.0.0.1:9", WORKSPACE, token="t")
    with pytest.raises(AirbyteError, match="LAVRA_AIRBYTE_URL"):
        away.resources("source")


def test_a_configuration_that_does_not_fit_is_refused_before_anything_is_sent(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PORT", "many")
    workspace.declare(SHOP)
    with pytest.raises(ConfigurationError, match=r"Source shop: .*port"):
        workspace.plan()
    monkeypatch.delenv("SHOP_PASSWORD")
    with pytest.raises(ConfigurationError, match="SHOP_PASSWORD, not set"):
        workspace.plan()
    assert workspace.airbyte.writes() == []
