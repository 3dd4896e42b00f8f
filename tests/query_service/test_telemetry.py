"""What is known of queries from outside: metrics, log lines, traces, the list of queries."""

from __future__ import annotations

import io
import itertools
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from lavra.access.caller import LOOPBACK
from query_service.logs import JsonFormatter, hide_query_string
from query_service.queries import QueryRecord
from query_service.tracing import open_tracer
from tests.query_service.conftest import Lake, close_lake, make_lake, query, serving, wait_until

SECRET = "a-very-secret-value"
DOCS = Path(__file__).parents[2] / "docs" / "service.md"
ENDLESS = (
    "select count(*) from gold_test.t a, gold_test.t b, gold_test.t c, gold_test.t d "
    "where a.id + b.id + c.id + d.id < 0"
)


class Receiver(BaseHTTPRequestHandler):
    """Takes spans as an OpenTelemetry collector does, over HTTP."""

    spans: list[Any] = []  # noqa: RUF012 - the class is the server's only state

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        message = ExportTraceServiceRequest.FromString(body)
        for resource in message.resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def collector() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, collector: str) -> Iterator[Lake]:
    made = make_lake(
        tmp_path_factory.mktemp("telemetry") / "lake",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector,
        service_engines=1,
    )
    made.duck.execute("create table lake.gold_test.t as select range as id from range(2000)")
    made.duck.execute("create table lake.gold_test.other as select 7 as id")
    made.release()
    yield made
    close_lake(made)


@pytest.fixture(scope="module")
def lines() -> Iterator[io.StringIO]:
    """What the service logs, as JSON."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    log = logging.getLogger("query_service")
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield written
    log.removeHandler(handler)
    log.setLevel(before)


@pytest.fixture(scope="module")
def client(lake: Lake, lines: io.StringIO) -> Iterator[httpx.Client]:
    assert lines is not None
    with serving(lake.settings) as opened:
        yield opened


def scrape(client: httpx.Client) -> dict[tuple[str, ...], float]:
    """The value of every sample, by its name and its labels' values in order of their names."""
    families = list(text_string_to_metric_families(client.get("/metrics").text))
    assert all(family.documentation for family in families)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def logged(lines: io.StringIO, query_id: str) -> dict[str, Any]:
    """The line of a query, which is written shortly after its answer."""
    wait_until(lambda: query_id in lines.getvalue())
    everything = [json.loads(line) for line in lines.getvalue().splitlines()]
    return next(line for line in everything if line.get("query_id") == query_id)


def test_metrics_count_what_happened(client: httpx.Client) -> None:
    before = scrape(client)
    sql = "select id from gold_test.t where id < 100"
    for _ in range(4):
        answer = client.post("/v1/sql", json={"sql": sql}, headers={"Accept-Encoding": "identity"})
    client.post("/v1/sql", json={"sql": "selec"}, headers={"Accept": "text/csv"})
    client.post("/v1/sql", json={"sql": ENDLESS, "timeout_s": 0.2})
    after = scrape(client)

    def grew(*sample: str) -> float:
        return after[sample] - before.get(sample, 0)

    assert grew("lavra_queries_total", "json", "finished") == 4
    assert grew("lavra_queries_total", "csv", "invalid_sql") == 1
    assert grew("lavra_queries_total", "json", "query_timeout") == 1
    assert grew("lavra_query_seconds_count", "json") == 5
    assert grew("lavra_query_seconds_sum", "json") >= 0.2
    assert grew("lavra_query_seconds_bucket", "json", "+Inf") == 5
    assert grew("lavra_query_stage_seconds_count", "execute") == 3
    assert grew("lavra_query_stage_seconds_sum", "execute") >= 0.15
    assert grew("lavra_query_stage_seconds_count", "send") == 1
    assert grew("lavra_rows_out_total") == 400
    # Ids, times and the word "cached" differ in length from one answer to the next.
    assert grew("lavra_bytes_out_total") == pytest.approx(4 * len(answer.content), abs=100)
    assert grew("lavra_result_cache_hits_total") == 3
    assert grew("lavra_result_cache_misses_total") >= 1
    assert 0 < after["lavra_result_cache_hit_ratio",] < 1
    assert after["lavra_result_cache_bytes",] > 0
    assert after["lavra_queries_running",] == after["lavra_queries_waiting",] == 0
    tables = {k[2]: v for k, v in after.items() if k[:2] == ("lavra_table_bytes", "prod")}
    assert sorted(tables) == ["gold_test.other", "gold_test.t"]
    assert tables["gold_test.t"] > 2000 * 8
    assert after["lavra_cache_bytes",] == sum(tables.values())
    assert after["lavra_refresh_seconds_count",] == after["lavra_releases_loaded",] == 1
    assert after["lavra_refresh_bytes_read_total",] > 0
    assert 0 <= after["lavra_snapshot_age_seconds", "prod"] < 600
    assert after["lavra_data_age_seconds", "prod"] > 86_400
    assert after["process_resident_memory_bytes",] > 0


def test_every_metric_is_documented(client: httpx.Client) -> None:
    query(client, "select 1 as one")
    families = text_string_to_metric_families(client.get("/metrics").text)
    names = {f.name for f in families if f.name.startswith("lavra_")}
    existing = {name for name in names if not name.endswith("_created")}
    documented = set(re.findall(r"^\| `(lavra_\w+?)(?:_total)?`", DOCS.read_text(), re.MULTILINE))
    assert documented == existing


def test_running_queries_show_their_stage(client: httpx.Client) -> None:
    def ask(query_id: str) -> threading.Thread:
        def work() -> None:
            with httpx.Client(base_url=client.base_url, timeout=60) as own:
                own.post(
                    "/v1/sql", json={"sql": f"{ENDLESS} or false"},
                    headers={"X-Lavra-Query-Id": query_id},
                )  # fmt: skip

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def stages() -> dict[str, Any]:
        shown = client.get("/v1/queries").json()["queries"]
        return {q["query_id"]: (q["state"], q["stage"]) for q in shown if q["stage"]}

    threads = [ask("stage-one")]
    wait_until(lambda: stages() == {"stage-one": ("running", "execute")})
    threads.append(ask("stage-two"))
    wait_until(lambda: stages().get("stage-two") == ("waiting", "wait"))
    gauges = scrape(client)
    assert gauges["lavra_queries_running",] == 1
    for query_id in ("stage-two", "stage-one"):
        wait_until(
            lambda now=query_id: client.delete(f"/v1/queries/{now}").json()["cancelled"] is False
        )
    for thread in threads:
        thread.join()
    shown = {q["query_id"]: q for q in client.get("/v1/queries").json()["queries"]}
    one, two = shown["stage-one"], shown["stage-two"]
    assert (one["state"], one["stage"], two["state"]) == ("cancelled", None, "cancelled")
    assert set(one["stages_ms"]) == {"wait", "execute"}
    assert set(two["stages_ms"]) == {"wait"}
    assert sum(one["stages_ms"].values()) <= one["elapsed_ms"] + 1


def test_each_query_is_one_line_of_json(client: httpx.Client, lines: io.StringIO) -> None:
    body = {
        "sql": "select id, $1 as it from gold_test.t where id < $2",
        "parameters": [SECRET, 12],
    }
    headers = {"X-Lavra-Query-Id": "logged-query"}
    answer = client.post("/v1/sql", json=body, headers=headers).json()
    line = logged(lines, "logged-query")
    assert line["level"] == "info"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", line["time"])
    expected = {
        "environment": "prod", "snapshot": answer["snapshot"]["id"], "tables": ["gold_test.t"],
        "rows": 12, "outcome": "finished", "code": None, "cached": False, "format": "json",
    }  # fmt: skip
    assert {name: line[name] for name in expected} == expected
    assert line["caller"] == LOOPBACK.identity
    assert line["ms"] > 0
    assert line["bytes"] > 12
    assert set(line["stages"]) == {"wait", "execute", "send"}
    client.post(
        "/v1/sql", json={"sql": f"select '{SECRET}' from gold_test.nope"},
        headers={"X-Lavra-Query-Id": "failed-query"},
    )  # fmt: skip
    failed = logged(lines, "failed-query")
    assert (failed["outcome"], failed["code"]) == ("failed", "unknown_table")
    assert SECRET not in lines.getvalue()
    assert "select" not in lines.getvalue()


def test_the_access_log_hides_the_query_string() -> None:
    args = ("127.0.0.1:1", "GET", f"/v1/sql?query=select+1&parameters={SECRET}", "1.1", 200)
    record = logging.LogRecord(
        "uvicorn.access", logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', args, None
    )
    assert hide_query_string(record)
    assert record.getMessage() == '127.0.0.1:1 - "GET /v1/sql HTTP/1.1" 200'


def attributes(span: Any) -> dict[str, Any]:
    kinds = {a.key: a.value.WhichOneof("value") for a in span.attributes}
    return {a.key: getattr(a.value, kinds[a.key]) for a in span.attributes}


def roots() -> dict[str, Any]:
    spans = [span for span in Receiver.spans if span.name == "query"]
    return {attributes(span)["lavra.query_id"]: span for span in spans}


def test_each_query_is_a_span_with_its_stages(client: httpx.Client) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    body = {"sql": "select id, $1 as traced from gold_test.t where id < 9", "parameters": [SECRET]}
    for number in range(2):
        headers = {
            "traceparent": f"00-{trace}-{parent}-01",
            "X-Lavra-Query-Id": f"traced-{number}",
        }
        assert client.post("/v1/sql", json=body, headers=headers).status_code == 200
    client.post("/v1/sql", json={"sql": "selec"}, headers={"X-Lavra-Query-Id": "traced-bad"})
    wait_until(lambda: "traced-bad" in roots())
    first, again, bad = (roots()[f"traced-{name}"] for name in (0, 1, "bad"))
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (trace, parent)
    shown = attributes(first)
    assert shown["lavra.environment"] == "prod"
    assert shown["lavra.outcome"] == "finished"
    assert (shown["lavra.rows"], shown["lavra.cached"]) == (9, False)
    assert [v.string_value for v in shown["lavra.tables"].values] == ["gold_test.t"]
    assert "db.query.text" not in shown
    assert SECRET not in str(Receiver.spans)
    stages = [s for s in Receiver.spans if s.parent_span_id == first.span_id]
    assert [s.name for s in stages] == ["wait", "execute", "send"]
    assert stages[0].start_time_unix_nano >= first.start_time_unix_nano
    for before, after in itertools.pairwise(stages):
        assert before.end_time_unix_nano == after.start_time_unix_nano
    assert stages[-1].end_time_unix_nano == first.end_time_unix_nano
    assert attributes(again)["lavra.cached"] is True
    assert not [s for s in Receiver.spans if s.parent_span_id == again.span_id]
    assert attributes(bad)["error.type"] == "invalid_sql"
    assert bad.status.code == 2  # STATUS_CODE_ERROR
    assert not bad.parent_span_id
    assert bad.trace_id != first.trace_id


def test_an_endpoint_that_is_away_costs_only_the_spans(lake: Lake) -> None:
    tracer = open_tracer(lake.settings.model_copy(update={"otlp_endpoint": "http://127.0.0.1:9"}))
    assert tracer
    record = QueryRecord("lost", "select 1", "prod", LOOPBACK, "json")
    record.enter("execute")
    began = time.monotonic()
    for _ in range(5000):
        tracer.query_ended(record)
    tracer.close()
    assert time.monotonic() - began < 30
    assert open_tracer(lake.settings.model_copy(update={"otlp_endpoint": ""})) is None
