"""The catalog database: DuckLake's metadata, SQLMesh's state, releases and landing state."""

from lavra.catalog.catalog import Catalog, open_catalog

__all__ = ["Catalog", "open_catalog"]
