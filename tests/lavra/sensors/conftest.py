"""A catalog and an Airbyte server for the tests of one file."""

from tests.lavra.airbyte.conftest import catalog, shared, workspace

__all__ = ["catalog", "shared", "workspace"]  # fixtures
