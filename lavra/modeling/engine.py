"""SQLMesh's DuckDB engine, with fewer commits to the lake.

DuckLake makes a snapshot of every statement that stands alone, a column's comment included, and
every connection reads the catalog anew after it: a table of ten columns would take a dozen. Here
a table or view and its comments are one commit.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlmesh.core.engine_adapter.duckdb import DuckDBEngineAdapter
from sqlmesh.core.engine_adapter.shared import CommentCreationView

if TYPE_CHECKING:
    from sqlmesh.core.engine_adapter.base import EngineAdapter

_open = threading.local()


@contextmanager
def one_commit(adapter: EngineAdapter) -> Iterator[None]:
    """Run a block's statements as one transaction; inside another such block, as part of it.

    SQLMesh's own ``transaction()`` does nothing here: it begins on the connection, while
    statements run on a cursor, which in DuckDB is a connection of its own.
    """
    if getattr(_open, "adapter", None) is not None:
        yield
        return
    adapter.execute("BEGIN TRANSACTION")
    _open.adapter = adapter
    try:
        yield
    except BaseException:
        adapter.execute("ROLLBACK")
        raise
    else:
        adapter.execute("COMMIT")
    finally:
        _open.adapter = None


class LakeEngineAdapter(DuckDBEngineAdapter):
    """SQLMesh's DuckDB adapter, on DuckLake: what makes one table is one snapshot.

    Views have no comments: DuckLake refuses those on columns. Descriptions of the views' columns
    are those of the tables, and stand in the releases.
    """

    COMMENT_CREATION_VIEW = CommentCreationView.UNSUPPORTED

    def create_table(self, *args: Any, **kwargs: Any) -> None:
        """Create a table, its partitioning and its comments in one commit."""
        with one_commit(self):
            super().create_table(*args, **kwargs)
