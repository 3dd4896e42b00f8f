"""What a process of the service does without."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        if fullname == "pandas":
            raise ModuleNotFoundError("The query service does without pandas.", name=fullname)


def leave_pandas_out() -> None:
    """Keep pandas out of this process, for good.

    pyarrow imports it, where it is installed, as soon as it first makes a value: 0.5 s and 40 MiB
    in every process of the service, none of which uses it.
    """
    if "pandas" not in sys.modules and not any(isinstance(f, _NoPandas) for f in sys.meta_path):
        sys.meta_path.insert(0, _NoPandas())


def lean_command(module: str, *arguments: str) -> list[str]:
    """Return the command of a process that runs a module's ``main``, without pandas."""
    program = (
        f"from {__name__} import leave_pandas_out; leave_pandas_out(); "
        f"from {module} import main; main()"
    )
    return [sys.executable, "-c", program, *arguments]
