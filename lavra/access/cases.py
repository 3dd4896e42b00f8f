"""Tests of a policy: this caller and this query must give these rows, or this error.

They run on the code that the service runs: the same rights, the same restricted copies, the same
engine, over rows that the file itself declares.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lavra.access.caller import Caller, Kind
from lavra.access.policy import FOLDER, Policy
from lavra.access.rights import TableShape, environments_allow, rights_of, roles_of
from lavra.dashboards.access_record import with_record
from lavra.errors import ConfigurationError
from lavra.landing.yaml_file import YamlFile, load_yaml, validated

if TYPE_CHECKING:
    from lavra.dashboards.gold import Gold
    from query_service.cache.release_file import CachedTable


class CallerModel(BaseModel):
    """Who asks, as authentication would have proven it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Kind = "key"
    roles: list[str] = Field(
        default_factory=list, description="Roles that the credential carries; superset:NAME ones."
    )
    claims: dict[str, Any] = Field(default_factory=dict)

    def to_caller(self) -> Caller:
        """Return it as the service has it."""
        return Caller(self.name, self.kind, frozenset(self.roles), self.claims)


class Case(BaseModel):
    """One test."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    caller: CallerModel
    environment: str = "prod"
    query: str
    columns: list[str] | None = Field(default=None, description="Names of the answer's columns.")
    rows: list[list[Any]] | None = Field(default=None, description="The answer, in order.")
    error: str | None = Field(default=None, description="The code of the error, instead of rows.")

    @model_validator(mode="after")
    def _expects_something(self) -> Case:
        if (self.error is None) == (self.rows is None and self.columns is None):
            raise ValueError("expect rows or columns, or an error, and not both")
        return self


class CasesFile(BaseModel):
    """One file of tests of the access policy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fixtures: dict[str, list[dict[str, Any]]] = Field(
        description="Rows of the Gold tables, by schema.table; columns left out are null."
    )
    tests: list[Case] = Field(min_length=1)


@dataclass(frozen=True)
class Outcome:
    """What came of a test: ``problem`` is empty when it passed. ``place`` is ``file:line``."""

    place: str
    name: str
    problem: str


def run_cases(project: Path, policy: Policy, gold: Gold) -> Iterator[Outcome]:
    """Run all tests of a project's ``access/tests``.

    Raises:
        ConfigurationError: a file is wrong, or a fixture is of no Gold model.
    """
    gold = with_record(gold)
    for path in sorted((project / FOLDER / "tests").glob("*.yaml")):
        file = load_yaml(path)
        cases = validated(CasesFile, file, manual="docs/access.md")
        with tempfile.TemporaryDirectory(prefix="lavra-access-") as folder:
            shown = replace(file, path=path.relative_to(project))
            yield from _run_file(shown, cases, policy, gold, Path(folder))


def _run_file(
    file: YamlFile, cases: CasesFile, policy: Policy, gold: Gold, folder: Path
) -> Iterator[Outcome]:
    from query_service.cache.restricted import HashKey, RestrictedWriter  # noqa: PLC0415
    from query_service.engine.executor import Executor, ExecutorOptions  # noqa: PLC0415

    shown = file.path
    tables = []
    for name, rows in cases.fixtures.items():
        if name not in gold.tables:
            line = file.line_of(("fixtures", name))
            raise ConfigurationError(f"{shown}:{line}: there is no Gold model {name}.")
        tables.append(
            _table(folder, gold, name, rows, f"{shown}:{file.line_of(('fixtures', name))}")
        )
    shapes = shapes_of(gold, cases.fixtures)
    writer = RestrictedWriter(folder / "copies", HashKey(b"tests of the policy"), lambda *_: None)
    executor = Executor(ExecutorOptions(256 * 1024 * 1024, str(folder / "spill"), 2))
    for number, case in enumerate(cases.tests):
        caller = case.caller.to_caller()
        place = f"{shown}:{file.line_of(('tests', number))}"
        if not environments_allow(policy, roles_of(policy, caller), caller, case.environment):
            got: tuple[str | None, Any] = ("unknown_environment", "")
        else:
            release = folder / f"{number}.json"
            writer.write(release, tables, rights_of(policy, caller, case.environment, shapes))
            got = _ask(executor, release, case.query)
        yield Outcome(place, case.name, _difference(case, *got))


def shapes_of(gold: Gold, names: Any = None) -> list[TableShape]:
    """Return Gold tables (all, or those named) as rules see them."""
    return [
        TableShape(name, {c.name: frozenset(c.tags) for c in table.columns.values()})
        for name, table in gold.tables.items()
        if names is None or name in names
    ]


def _table(
    folder: Path, gold: Gold, name: str, rows: list[dict[str, Any]], place: str
) -> CachedTable:
    """Write a fixture as the service holds tables, with the types of its model."""
    import duckdb  # noqa: PLC0415
    import pyarrow as pa  # noqa: PLC0415

    from query_service.cache.release_file import CachedTable  # noqa: PLC0415
    from query_service.cache.segments import servable_schema, write_segment  # noqa: PLC0415

    columns = gold.tables[name].columns
    unknown = sorted({column for row in rows for column in row} - columns.keys())
    if unknown:
        raise ConfigurationError(f"{place}: {name} has no column {', '.join(unknown)}.")
    with duckdb.connect(":memory:") as duck:
        typed = ", ".join(f'cast(null as {c.type}) as "{c.name}"' for c in columns.values())
        schema = duck.execute(f"select {typed} limit 0").to_arrow_table().schema
        texts = pa.table(
            {c: pa.array([_text(row.get(c)) for row in rows], pa.string()) for c in columns}
        )
        duck.register("texts", texts)
        casts = ", ".join(f'cast("{c.name}" as {c.type}) as "{c.name}"' for c in columns.values())
        try:
            held = duck.execute(f"select {casts} from texts").to_arrow_table()  # noqa: S608
        except duckdb.Error as error:
            raise ConfigurationError(
                f"{place}: a value of {name} has no such type: {error}."
            ) from error
    path = folder / "fixtures" / f"{name}.seg"
    count = write_segment(path, servable_schema(schema), held.to_batches())
    schema_name, _, table_name = name.partition(".")
    return CachedTable(
        schema_name, table_name, servable_schema(schema), (str(path),), path.stat().st_size, count
    )


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | list | dict) else str(value)


def _ask(executor: Any, release: Path, sql: str) -> tuple[str | None, Any]:
    """Return an error's code and message, or None and the answer's columns and rows."""
    import pyarrow as pa  # noqa: PLC0415

    from query_service.engine.jobs import Chunk, Failed, Job  # noqa: PLC0415

    data = b""
    for event in executor.run(Job("access-test", str(release), sql, encoding="arrow")):
        if isinstance(event, Chunk):
            data += bytes(event.data)
        if isinstance(event, Failed):
            return event.code, event.message
    answer = pa.ipc.open_stream(data).read_all()
    rows = [[_plain(value) for value in row.values()] for row in answer.to_pylist()]
    return None, (answer.column_names, rows)


def _plain(value: Any) -> Any:
    """Return a value as YAML would write it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _difference(case: Case, code: str | None, got: Any) -> str:
    if case.error is not None:
        if code is None:
            return f"expected the error {case.error}, got {len(got[1])} rows: {got[1][:5]}"
        return "" if code == case.error else f"expected the error {case.error}, got {code}: {got}"
    if code is not None:
        return f"expected rows, got the error {code}: {got}"
    columns, rows = got
    if case.columns is not None and columns != case.columns:
        return f"expected the columns {case.columns}, got {columns}"
    expected = None if case.rows is None else [[_plain(v) for v in row] for row in case.rows]
    if expected is not None and rows != expected:
        return f"expected {expected}, got {rows}"
    return ""
