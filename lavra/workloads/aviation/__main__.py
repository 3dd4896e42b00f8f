"""``python -m lavra.workloads.aviation``: the generator's service."""

from __future__ import annotations

import sys

from lavra.errors import LavraError
from lavra.settings import load_settings
from lavra.workloads.aviation.server import run

if __name__ == "__main__":
    try:
        run(load_settings())
    except LavraError as error:
        sys.exit(str(error))
