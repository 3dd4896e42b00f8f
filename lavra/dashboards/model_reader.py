"""Print a project's Gold models as JSON: ``python -m lavra.dashboards.model_reader DIR``."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from typing import Any

from sqlmesh import Context
from sqlmesh.utils.errors import SQLMeshError

from lavra.access.tags import split_tags
from lavra.dashboards.gold import GOLD_PREFIX, Column, GoldTable


def _is_gold(model: Any) -> bool:
    return str(model.schema_name).startswith(GOLD_PREFIX) and not model.kind.is_external


def _table(model: Any) -> GoldTable:
    comments = model.column_descriptions
    time_column = getattr(model, "time_column", None)
    return GoldTable(
        schema=model.schema_name,
        name=model.view_name,
        columns={
            name: Column(name, kind.sql(dialect="duckdb"), *split_tags(comments.get(name, "")))
            for name, kind in (model.columns_to_types or {}).items()
        },
        description=model.description or "",
        time_column=time_column.column.name if time_column else None,
    )


def main(folder: str) -> int:
    """Print the tables, on one line; return the exit status."""
    logging.disable(logging.WARNING)
    try:
        models = Context(paths=[folder]).models.values()
    except SQLMeshError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    tables = sorted((_table(m) for m in models if _is_gold(m)), key=lambda t: t.full_name)
    sys.stdout.write(json.dumps([asdict(table) for table in tables]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
