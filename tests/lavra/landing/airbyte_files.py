"""Golden files of a real Airbyte's two dialects, built from the schemas that it publishes.

Legacy: destination-gcs 0.4's Avro-to-Parquet. v2: destination-s3 1.x's columns.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lavra.landing.bronze_writer import META_TYPE
from lavra.storage import LakeStorage

EXTRAS = ("_airbyte_additional_properties", pa.map_(pa.string(), pa.string()))
UNION = pa.struct([("member0", pa.timestamp("us", "UTC")), ("member1", pa.string())])
LEGACY = pa.schema(
    [
        ("_airbyte_ab_id", pa.string()),
        ("_airbyte_emitted_at", pa.timestamp("ms", "UTC")),
        ("id", pa.int64()),
        ("price", pa.float64()),
        ("created_at", UNION),
        ("address", pa.struct([("city", pa.string()), ("since", UNION), EXTRAS])),
        ("visits", pa.list_(pa.struct([("at", UNION), ("page", pa.string()), EXTRAS]))),
        ("born", pa.date32()),
        EXTRAS,
    ]
)
V2 = pa.schema(
    [
        ("_airbyte_raw_id", pa.string()),
        ("_airbyte_extracted_at", pa.int64()),
        ("_airbyte_meta", META_TYPE),
        ("_airbyte_generation_id", pa.int64()),
        ("id", pa.int64()),
        ("price", pa.float64()),
        ("created_at", pa.timestamp("us", "UTC")),
        ("address", pa.struct([("city", pa.string()), ("since", pa.timestamp("us", "UTC"))])),
        ("visits", pa.string()),  # a schemaless array is JSON
        ("born", pa.date32()),
    ]
)


def union(text: str | None) -> dict[str, Any] | None:
    """A date-time as the legacy destination writes it: what it cannot parse stays text."""
    if text is None:
        return None
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError:
        return {"member0": None, "member1": text}
    return {"member0": parsed.astimezone(dt.UTC), "member1": None}


def legacy_row(number: int, **values: Any) -> dict[str, Any]:
    """One row; ``created_at`` may be any text."""
    created = values.pop("created_at", "2026-01-02T03:04:05+00:00")
    return {
        "_airbyte_ab_id": str(uuid.UUID(int=number)),
        "_airbyte_emitted_at": dt.datetime(2026, 1, 3, tzinfo=dt.UTC),
        "id": number, "price": number / 2, "created_at": union(created),
        "address": {
            "city": "Recife", "since": union("2020-01-01T00:00:00+00:00"),
            "_airbyte_additional_properties": [("zip", "1")],
        },
        "visits": [
            {
                "at": {"member0": None, "member1": "2026-01-01T00:00:00-03:00"}, "page": "/",
                "_airbyte_additional_properties": [],
            }
        ],
        "born": dt.date(2000, 1, 1), "_airbyte_additional_properties": [("new", "x")],
    } | values  # fmt: skip


def v2_row(number: int, generation: int = 1, **values: Any) -> dict[str, Any]:
    """One row of a generation."""
    change = {"field": "price", "change": "NULLED", "reason": "SOURCE_RETRIEVAL_ERROR"}
    return {
        "_airbyte_raw_id": str(uuid.UUID(int=number)),
        "_airbyte_extracted_at": 1767398400000,  # 2026-01-03
        "_airbyte_meta": {"sync_id": 7, "changes": [change]},
        "_airbyte_generation_id": generation,
        "id": number, "price": number / 2,
        "created_at": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "address": {"city": "Recife", "since": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)},
        "visits": '[{"at": "2026-01-01T03:00:00Z", "page": "/"}]', "born": dt.date(2000, 1, 1),
    } | values  # fmt: skip


def land(
    storage: LakeStorage,
    rows: Sequence[dict[str, Any]],
    schema: pa.Schema,
    *,
    epoch: int,
    part: int = 0,
    folder: str = "bronze/test/things",
) -> str:
    """Write a file where Airbyte would, and return its path."""
    day = dt.datetime.fromtimestamp(epoch / 1000, dt.UTC)
    path = f"{folder}/{day:%Y_%m_%d}_{epoch}_{part}.parquet"
    with storage.publish(path) as stream:
        pq.write_table(pa.Table.from_pylist(list(rows), schema), stream)
    return path
