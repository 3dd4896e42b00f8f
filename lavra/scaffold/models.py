"""What a SQLMesh model of a new project is made of, and its text."""

from __future__ import annotations

from dataclasses import dataclass

from lavra.landing import types
from lavra.scaffold import naming
from lavra.scaffold.plan import TablePlan
from lavra.scaffold.templating import render

_SQL_TYPES = {
    types.STRING: "TEXT",
    types.BOOLEAN: "BOOLEAN",
    types.INTEGER: "BIGINT",
    types.NUMBER: "DOUBLE",
    types.DATE: "DATE",
    types.TIME: "TIME",
    types.TIMESTAMP: "TIMESTAMP",
    types.TIMESTAMP_TZ: "TIMESTAMPTZ",
    types.JSON: "TEXT",
    types.BINARY: "BLOB",
}


@dataclass(frozen=True)
class Column:
    """A column of a model: ``expression::type AS name``, and its comment."""

    expression: str
    type: str
    name: str
    comment: str


@dataclass(frozen=True)
class Input:
    """A relation that a model reads, as the CTE ``name``."""

    name: str
    source: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Join:
    """A left join to the CTE ``name``."""

    name: str
    condition: str


@dataclass(frozen=True)
class Model:
    """One SQLMesh model.

    Attributes:
        layer: ``bronze``, ``silver`` or ``gold``.
        domain: The project's name.
        table: The table's name.
        source: The file's plan that it belongs to.
    """

    layer: str
    domain: str
    table: str
    source: TablePlan
    description: str
    grain: tuple[str, ...]
    audits: tuple[str, ...]
    inputs: tuple[Input, ...]
    columns: tuple[Column, ...]
    joins: tuple[Join, ...] = ()
    where: str | None = None
    group_by: tuple[str, ...] = ()

    @property
    def schema(self) -> str:
        """The schema: layer and domain."""
        return f"{self.layer}_{self.domain}"

    @property
    def name(self) -> str:
        """The model's full name."""
        return f"{self.schema}.{self.table}"

    @property
    def path(self) -> str:
        """Its file in the project."""
        return f"sqlmesh_project/models/{self.layer}/{self.domain}/{self.table}.sql"

    def sql(self) -> str:
        """Return its text, as ``sqlmesh format`` leaves it."""
        from sqlmesh.core.dialect import format_model_expressions, parse  # noqa: PLC0415 - slow

        text = render("model.sql", model=self)
        formatted = format_model_expressions(parse(text, default_dialect="duckdb"), "duckdb")
        return f"{formatted}\n"


def sql_type(kind: types.LandedType) -> str:
    """Return the SQL type of a landed type."""
    if kind.name == types.DECIMAL:
        return f"DECIMAL({kind.precision}, {kind.scale})"
    return _SQL_TYPES[kind.name]


def refined_type(kind: types.LandedType) -> str:
    """Return its type in Silver and Gold, where every timestamp is a UTC one."""
    return "TIMESTAMP" if kind.name == types.TIMESTAMP_TZ else sql_type(kind)


def identifier(name: str) -> str:
    """Return a name as SQL takes it, quoted where it must be."""
    quoted = name in naming.RESERVED or not name.isidentifier()
    return f'"{name}"' if quoted else name
