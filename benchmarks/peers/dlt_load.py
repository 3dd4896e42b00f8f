"""Time dlt: ``python dlt_load.py FILE FOLDER``, with the Python of dlt's own environment.

Loads the records of a file of Airbyte's protocol into Parquet files below FOLDER, and prints
the seconds that took, imports excluded.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = 5_000


def main() -> None:
    """Load, and print the seconds."""
    import dlt  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415
    from dlt.common import json  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

    source, folder = Path(sys.argv[1]), Path(sys.argv[2])

    # Nested values stay JSON text, as ours do.
    @dlt.resource(name="users", max_table_nesting=0, primary_key="id")  # type: ignore[untyped-decorator, unused-ignore]
    def users() -> Iterator[list[dict[str, Any]]]:
        page: list[dict[str, Any]] = []
        with source.open("rb") as lines:
            for line in lines:
                if line.startswith(b'{"type":"RECORD"'):
                    page.append(json.loadb(line)["record"]["data"])
                if len(page) == PAGE:
                    yield page
                    page = []
        if page:
            yield page

    pipeline = dlt.pipeline(
        "landing", pipelines_dir=str(folder / "work"), dataset_name="bronze",
        destination=dlt.destinations.filesystem(bucket_url=str(folder / "lake")),
    )  # fmt: skip
    began = time.perf_counter()
    pipeline.run(users(), loader_file_format="parquet").raise_on_failed_jobs()
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
