"""What dashboards may show: Gold tables with their columns, and the metrics declared beside them.

Columns come from the models themselves, metrics from ``metrics.yaml`` in the folder of the
models (``sqlmesh_project/models/gold/<domain>/metrics.yaml``), so nobody writes either twice.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lavra.dashboards.form import Text
from lavra.errors import ConfigurationError, DashboardError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from lavra.releases.store import Release
    from lavra.settings import Settings

GOLD_PREFIX = "gold_"
METRICS_FILE = "metrics.yaml"


class Metric(BaseModel):
    """A number that a dashboard can show, defined once beside its model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    expression: str = Field(min_length=1, description="SQL over the table's columns.")
    title: Text = ""
    description: Text = ""
    format: str = Field(default="", description="d3 format: ,.0f or .1%.")
    currency: str = Field(default="", pattern="^([A-Z]{3})?$", description="ISO code: BRL.")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    metrics: list[Metric] = []
    columns: dict[str, Text] = Field(
        default={}, description="Columns' titles; without one it is the name in words."
    )


class _MetricsFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tables: dict[str, _Table]


@dataclass(frozen=True)
class Column:
    """A column: its name, SQL type, comment, and the tags that its model gives it."""

    name: str
    type: str
    description: str = ""
    tags: list[str] = field(default_factory=list)

    @property
    def is_time(self) -> bool:
        """Whether it is a date or a timestamp."""
        return self.type.upper().startswith(("DATE", "TIMESTAMP"))


@dataclass(frozen=True)
class GoldTable:
    """A table that the service serves, with its metrics by name."""

    schema: str
    name: str
    columns: dict[str, Column]
    description: str = ""
    time_column: str | None = None
    metrics: dict[str, Metric] = field(default_factory=dict)
    titles: dict[str, Text] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """``schema.name``."""
        return f"{self.schema}.{self.name}"

    @property
    def main_time_column(self) -> str | None:
        """The declared time column, else the first column of time."""
        if self.time_column in self.columns:
            return self.time_column
        return next((c.name for c in self.columns.values() if c.is_time), None)


class Gold:
    """All Gold tables of a lake, found by ``schema.table`` or, where it is unique, by ``table``."""

    def __init__(self, tables: Iterable[GoldTable]) -> None:
        self.tables = {table.full_name: table for table in tables}

    def find(self, name: str) -> GoldTable | None:
        """Return a table, or None when there is none or the short name is not unique."""
        if name in self.tables:
            return self.tables[name]
        found = [table for table in self.tables.values() if table.name == name]
        return found[0] if len(found) == 1 else None

    def with_metrics(self, project: Path, left_out: Collection[str] = ()) -> tuple[Gold, list[str]]:
        """Return the tables with their declared metrics, and what is wrong with those.

        Args:
            project: The folder of ``lavra.toml``.
            left_out: Domains whose metrics are left out.
        """
        problems: list[str] = []
        tables = dict(self.tables)
        root = project / "sqlmesh_project" / "models" / "gold"
        for path in sorted(root.rglob(METRICS_FILE)):
            if path.parent.name in left_out:
                continue
            shown = path.relative_to(project)
            schema = GOLD_PREFIX + path.parent.name
            for table_name, declared in _read_metrics(path, shown, problems).items():
                metrics = declared.metrics
                key = f"{schema}.{table_name}"
                if key not in tables:
                    problems.append(f"{shown}: tables.{table_name}: there is no model {key}")
                    continue
                names = [metric.name for metric in metrics]
                problems += [
                    f"{shown}: tables.{table_name}: metric {name} stands twice"
                    for name in sorted({n for n in names if names.count(n) > 1})
                ]
                table = tables[key]
                problems += [
                    f"{shown}: tables.{table_name}.{metric.name}.expression: {unknown}"
                    for metric in metrics
                    for unknown in unknown_columns(metric.expression, table)
                ]
                problems += [
                    f"{shown}: tables.{table_name}.columns: there is no column {name} in {key}"
                    for name in sorted(set(declared.columns) - set(table.columns))
                ]
                tables[key] = replace(
                    table,
                    metrics={metric.name: metric for metric in metrics},
                    titles=declared.columns,
                )
        return Gold(tables.values()), problems


def _read_metrics(path: Path, shown: Path, problems: list[str]) -> dict[str, _Table]:
    try:
        value = yaml.safe_load(path.read_text("utf-8"))
        read = _MetricsFile.model_validate(value)
    except yaml.YAMLError as error:
        problems.append(f"{shown}: no YAML: {str(error).splitlines()[0]}")
        return {}
    except ValidationError as error:
        problems += [
            f"{shown}: {'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_url=False, include_context=False)
        ]
        return {}
    return read.tables


def unknown_columns(expression: str, table: GoldTable) -> list[str]:
    """Return what is wrong with a SQL expression over one table: it or a column in it."""
    import sqlglot  # noqa: PLC0415 - heavy, and only some commands come here
    from sqlglot import exp  # noqa: PLC0415

    try:
        parsed = sqlglot.parse_one(expression, dialect="postgres")
    except sqlglot.errors.SqlglotError as error:
        return [f"it does not parse: {re.sub(chr(27) + r'[^m]*m', '', str(error)).splitlines()[0]}"]
    names = {column.name for column in parsed.find_all(exp.Column)}
    return [
        f"there is no column {n} in {table.full_name}" for n in sorted(names - set(table.columns))
    ]


def gold_of_release(release: Release) -> Gold:
    """Return the tables of a release."""
    return Gold(
        GoldTable(
            schema=table.schema_name,
            name=table.table_name,
            columns={c["name"]: Column(
                         c["name"], c["type"], c.get("description") or "", c.get("tags") or [])
                     for c in table.columns},
            description=table.description,
            time_column=table.time_column,
        )
        for table in release.tables
    )  # fmt: skip


def gold_of_models(settings: Settings) -> Gold:
    """Return the tables as the project's Gold models declare them, without any server.

    Loading a SQLMesh project takes seconds, so the outcome is kept in the state folder for as
    long as no file of the project changes.

    Raises:
        DashboardError: the SQLMesh project does not load.
        ConfigurationError: SQLMesh is not installed.
    """
    kept = settings.state / "superset" / "gold.json"
    digest = _digest_of_models(settings)
    try:
        found = json.loads(kept.read_text("utf-8"))
        if found["digest"] == digest:
            return Gold(_from_plain(table) for table in found["tables"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nothing kept, or by another version: load the models
    gold = _load_models(settings)
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(f".draft{os.getpid()}")
    tables = [asdict(table) for table in gold.tables.values()]
    draft.write_text(json.dumps({"digest": digest, "tables": tables}), "utf-8")
    draft.replace(kept)
    return gold


def _digest_of_models(settings: Settings) -> str:
    parts = (version("lavra"), *sorted(settings.domains_left_out))
    digest = hashlib.sha256(" ".join(parts).encode())
    root = settings.project / "sqlmesh_project"
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.suffix in {".sql", ".py", ".yaml", ".yml", ".csv"} and not any(
            part.startswith(".") for part in inside.parts
        ):
            digest.update(str(inside).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _from_plain(table: dict[str, Any]) -> GoldTable:
    columns = {name: Column(**column) for name, column in table.pop("columns").items()}
    return GoldTable(**(table | {"columns": columns, "metrics": {}}))


def _load_models(settings: Settings) -> Gold:
    if importlib.util.find_spec("sqlmesh") is None:
        raise ConfigurationError(
            "SQLMesh is not installed, so the Gold models cannot be read.",
            remedy="Install lavra[models].",
        )
    root = settings.project / "sqlmesh_project"
    if not root.is_dir():
        return Gold(())
    # A program of its own: SQLMesh forks, logs and warns as it pleases when it is imported.
    done = subprocess.run(
        [sys.executable, "-m", "lavra.dashboards.model_reader", str(root)],
        env=os.environ | {"LAVRA_PROJECT": str(settings.project)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise DashboardError(
            f"The SQLMesh project in {root} does not load:\n{done.stderr.strip()[-2000:]}",
            remedy="`sqlmesh -p sqlmesh_project lint` says more.",
        )
    return Gold(_from_plain(table) for table in json.loads(done.stdout.splitlines()[-1]))
