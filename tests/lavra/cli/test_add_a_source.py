"""`docs/add-a-source.md` is carried out: its files are written, its commands run."""

from __future__ import annotations

import datetime as dt
import json
import re
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pyarrow as pa
import pytest
from sqlmesh.core.dialect import parse
from sqlmesh.core.macros import RuntimeStage, macro
from sqlmesh.core.model import load_sql_based_model
from typer.testing import CliRunner

from lavra.catalog import Catalog
from lavra.cli.main import build_app
from lavra.landing.bronze_reader import read_files
from lavra.landing.manifest import current_paths
from lavra.modeling.lake import activate
from lavra.settings import load_settings
from lavra.storage import open_storage

PAGE = (Path(__file__).parents[3] / "docs" / "add-a-source.md").read_text()
BLOCK = re.compile(r"(?:^`([^`\n]+)`:\n\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TICKETS = 250


def carry_out(title: str, project: Path) -> dict[str, str]:
    """Write the files of one part of the page, run its commands, and return the files."""
    part = PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    files: dict[str, str] = {}
    for path, language, text in BLOCK.findall(part):
        if language != "sh":
            assert path, f"which file is this? {text[:60]}"
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_text(text)
            files[path] = text
            continue
        for line in text.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "lavra"
            done = CliRunner().invoke(build_app(), arguments)
            assert done.exit_code == 0, f"{line}: {done.output} {done.exception}"
    return files


@pytest.fixture
def here(
    project: Path,
    catalog: Catalog,  # noqa: ARG001 - left at the end
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    monkeypatch.chdir(project)
    return project


def landed(catalog: Catalog, project: Path, namespace: str, stream: str) -> pa.Table:
    storage = open_storage(load_settings(project))
    return read_files(storage, current_paths(catalog, namespace, stream))


def test_a_csv_file(here: Path, catalog: Catalog) -> None:
    files = carry_out("A CSV file", here)
    assert landed(catalog, here, "catalogue_files", "products").num_rows == 2
    activate(load_settings(here))
    model = load_sql_based_model(
        parse(files["sqlmesh_project/models/bronze/catalogue_files/products.sql"], "duckdb"),
        dialect="duckdb", default_catalog="lake", macros=macro.get_registry(),
        module_path=Path("/nowhere"),
    )  # fmt: skip
    query = model.render_query(runtime_stage=RuntimeStage.EVALUATING)
    with duckdb.connect() as connection:
        rows = connection.execute(query.sql(dialect="duckdb") + " order by 1").fetchall()
    assert [(name, float(price), since) for name, price, since in rows] == [
        ("Hammer", 12.5, dt.date(2026, 1, 31)), ("Nails, 1 kg", 3.9, dt.date(2025, 12, 1)),
    ]  # fmt: skip


@pytest.mark.soak  # installs a package from PyPI
@pytest.mark.timeout(900)
def test_a_connector_from_pypi(here: Path, catalog: Catalog) -> None:
    carry_out("A connector from PyPI", here)
    assert landed(catalog, here, "people", "users").num_rows == 100
    assert landed(catalog, here, "people", "purchases").num_rows > 0
    assert (here / "airbyte/connectors/airbyte-source-faker-7.2.1.txt").exists()


@pytest.mark.soak  # installs a package from PyPI
@pytest.mark.timeout(900)
def test_a_low_code_manifest(
    here: Path, catalog: Catalog, helpdesk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELPDESK_URL", helpdesk)
    carry_out("An HTTP API, by a low-code manifest", here)
    table = landed(catalog, here, "helpdesk", "tickets")
    assert sorted(table["id"].to_pylist()) == list(range(TICKETS))
    assert table.schema.field("opened_at").type == pa.timestamp("us", "UTC")


class _Helpdesk(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = int(parse_qs(urlsplit(self.path).query).get("page", ["1"])[0])
        items: list[dict[str, Any]] = [
            {"id": n, "subject": f"Ticket {n}", "opened_at": "2026-01-02T03:04:05Z"}
            for n in range((page - 1) * 100, min(page * 100, TICKETS))
        ]
        body = json.dumps({"items": items}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def helpdesk() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Helpdesk)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()
