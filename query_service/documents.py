"""The JSON documents that routes answer with, as the OpenAPI document describes them.

The routes build plain dictionaries (:mod:`query_service.descriptions`); a property test holds them
to these models, field by field.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_MOMENT = "2026-01-02T03:00:00Z"
_QUERY_ID = "5f0c8e2a9d3b4c61a7e8f90112233445"


class Document(BaseModel):
    """A document with exactly these fields."""

    model_config = ConfigDict(extra="forbid")


class Problem(Document):
    """An error, after RFC 9457."""

    type: str = Field(description="A URN of the code.", examples=["urn:lavra:problem:invalid_sql"])
    title: str = Field(examples=["Invalid sql"])
    status: int = Field(ge=400, le=599, description="The HTTP status.", examples=[400])
    detail: str = Field(description="What is wrong, and what to do about it.")
    code: str = Field(description="What programs go by.", examples=["invalid_sql"])
    query_id: str | None = Field(examples=[_QUERY_ID])
    retryable: bool = Field(description="Whether the same request may succeed later, unchanged.")


class Column(Document):
    """One column of an answer."""

    name: str = Field(examples=["net_revenue"])
    type: str = Field(description="The Arrow type's name.", examples=["decimal128(18, 2)"])


class AnswerSnapshot(Document):
    """The release that an answer is from."""

    id: str = Field(description="The release's id.", examples=["12"])
    released_at: dt.datetime = Field(examples=[_MOMENT])
    data_through: dt.datetime | None = Field(
        description="The earliest over the tables read; null if one does not say.",
        examples=["2026-01-02T00:00:00Z"],
    )


class SqlAnswer(Document):
    """The answer to a query, as JSON."""

    query_id: str = Field(examples=[_QUERY_ID])
    columns: list[Column]
    rows: list[list[Any]] = Field(
        description="Values in the order of the columns. Decimals, integers beyond 2^53 - 1, times "
        "and binary are strings; docs/service.md has the table.",
        examples=[[["1523.40"]]],
    )
    row_count: int = Field(ge=0, examples=[1])
    truncated: bool = Field(description="Whether `row_limit` left rows out.", examples=[False])
    snapshot: AnswerSnapshot
    elapsed_ms: float = Field(ge=0, examples=[2.1])
    cached: bool = Field(description="Whether the answer was kept from before.", examples=[False])


class Snapshot(AnswerSnapshot):
    """The release that an environment's queries are answered from."""

    environment: str = Field(examples=["prod"])
    loaded_at: dt.datetime = Field(examples=["2026-01-02T03:00:01Z"])
    tables: int = Field(ge=0, description="How many tables it has.", examples=[23])


class Refreshed(Snapshot):
    """The release served after a refresh."""

    changed: bool = Field(description="Whether any environment's release is another now.")


class EnvironmentEntry(Document):
    """An environment that has a release."""

    name: str = Field(examples=["prod"])
    ready: bool = Field(description="Whether its release is loaded, so that it can be queried.")
    snapshot: Snapshot | None = Field(description="Its current release; null until it is loaded.")


class Environments(Document):
    """Every environment that has a release: prod first, the others by name."""

    environments: list[EnvironmentEntry]


class TableEntry(Document):
    """A table in the list."""

    schema_: str = Field(alias="schema", examples=["gold_commerce"])
    name: str = Field(examples=["daily_revenue"])
    description: str
    row_count: int = Field(ge=0)
    bytes: int = Field(ge=0, description="What it holds of the cache.")
    data_through: dt.datetime | None
    cached: bool = Field(description="Whether it is in memory.")


class Tables(Document):
    """The tables of a release."""

    tables: list[TableEntry]


class TableColumn(Column):
    """A column of a table."""

    nullable: bool
    description: str


class Table(TableEntry):
    """One table."""

    columns: list[TableColumn]
    grain: list[str] = Field(description="The columns that make a row unique.")
    time_column: str | None
    upstream: list[str] = Field(description="The models it is made from.")
    audits: list[dict[str, Any]]


class QueryEntry(Document):
    """A query that runs, waits, or ended lately."""

    query_id: str = Field(examples=[_QUERY_ID])
    state: Literal["waiting", "running", "finished", "failed", "cancelled"]
    stage: Literal["load", "wait", "execute", "send"] | None = Field(
        description="What it is at now; null once it has ended."
    )
    stages_ms: dict[str, float] = Field(
        description="Milliseconds in each stage so far.", examples=[{"wait": 0.1, "execute": 3.2}]
    )
    sql: str
    environment: str
    caller: str
    format: str
    snapshot: str | None
    tables: list[str]
    started_at: dt.datetime
    elapsed_ms: float = Field(ge=0)
    row_count: int | None
    bytes: int = Field(ge=0)
    cached: bool
    error: str | None = Field(description="The code it failed with.")


class Queries(Document):
    """Queries: those under way first, then those that ended, the latest first."""

    queries: list[QueryEntry]


class Cancelled(Document):
    """What became of a cancellation."""

    query_id: str
    cancelled: bool = Field(description="False if no query of this id was under way.")


class Status(Document):
    """That all is well."""

    status: str = Field(examples=["ok"])
