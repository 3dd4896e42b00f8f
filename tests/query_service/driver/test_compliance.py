"""The DB-API 2.0 compliance suite (``dbapi-compliance``), whole but for what only writers have.

It tests by creating and filling tables, so it runs against the stand-in with a writable session;
the driver itself neither knows nor cares what a statement does.
"""

from __future__ import annotations

import unittest
from typing import Any, ClassVar

import datafusion
import dbapi20
import pytest
from toy_service import running

import lavra_driver


class TestCompliance(dbapi20.DatabaseAPI20Test):  # type: ignore[misc]
    driver: ClassVar[Any] = lavra_driver

    def setUp(self) -> None:
        context = running()
        service = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        options = {"datafusion.sql_parser.map_string_types_to_utf8view": "false"}
        service.writable = datafusion.SessionContext(datafusion.SessionConfig(options))
        self.connect_kw_args = {"host": "127.0.0.1", "port": service.port}

    def tearDown(self) -> None:
        """Nothing: the session goes with the service."""

    def test_executemany(self) -> None:
        with self._connect() as connection, pytest.raises(lavra_driver.NotSupportedError):
            connection.cursor().executemany("insert into t values (?)", [["a"]])

    @unittest.skip("the service has no stored procedures, and PEP 249 makes callproc optional")
    def test_callproc(self) -> None:
        pass

    @unittest.skip("one statement has one result; PEP 249 makes nextset optional")
    def test_nextset(self) -> None:
        pass

    def test_setoutputsize(self) -> None:
        self.test_setoutputsize_basic()
