"""``sqlmesh plan`` of the commerce models against the same SQL run straight in DuckDB, in one run.

The reference runs every model's rendered query into an in-memory table, in order, over the same
landed files: what SQLMesh and the lake add is the rest (rendering, audits, commits, the state,
the release).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.ratio import Ratio

ROOT = Path(__file__).parents[1]
_REFERENCE = """
import fnmatch, sys, time
from sqlglot import exp
from sqlmesh.core.context import Context
from lavra.modeling.lake import active_lake

context = Context(paths=["sqlmesh_project"])
connection = active_lake().connect()
spent = 0.0
connection.execute("ATTACH ':memory:' AS plain")
for name in context.dag.sorted:
    model = context.get_model(name)
    if model is None or model.kind.is_embedded:
        continue
    schema, table = model.fqn.replace('"', "").split(".")[1:]
    if not fnmatch.fnmatch(f"{schema}.{table}", sys.argv[1]):
        continue
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS plain.{schema}")
    if not model.is_sql:
        types = ", ".join(f"{c} {t.sql('duckdb')}" for c, t in model.columns_to_types.items())
        connection.execute(f"CREATE TABLE plain.{schema}.{table} ({types})")
        continue
    query = context.render(name, expand=[m.fqn for m in context.models.values()
                                         if m.kind.is_embedded])
    for source in query.find_all(exp.Table):
        if source.catalog == "lake":
            source.set("catalog", exp.to_identifier("plain"))
    sql = query.sql("duckdb")
    began = time.perf_counter()
    connection.execute(f"CREATE TABLE plain.{schema}.{table} AS {sql}")
    spent += time.perf_counter() - began
print(spent)
"""


def main(argv: list[str]) -> list[Ratio]:
    """Measure a first plan of the shop at ``--scale`` (1 is about 67,000 orders).

    ``--select`` names the models, as schema.table with ``*``; each brings nothing it reads from.
    """
    parser = argparse.ArgumentParser(prog="plan", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--select", default="*")
    options = parser.parse_args(argv)
    scale, select = options.scale, options.select
    with tempfile.TemporaryDirectory(prefix="lavra-bench-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        root.chmod(0o755)  # our Postgres runs as a user of its own when we are root
        (root / "lavra.toml").write_text(f'name = "bench"\nworkload_scale = {scale}\n')
        for part in ("sqlmesh_project", "airbyte"):
            ignored = shutil.ignore_patterns(".cache", "logs")
            shutil.copytree(ROOT / part, root / part, ignore=ignored)
        _run(root, _program("lavra"), "ingest", "run", "--all")
        reference = float(_run(root, sys.executable, "-c", _REFERENCE, select).splitlines()[-1])
        began = time.perf_counter()
        plan = [_program("sqlmesh"), "-p", "sqlmesh_project", "plan", "--auto-apply"]
        if select != "*":
            plan += ["--select-model", select]
        _run(root, *plan)
        measured = time.perf_counter() - began
    return [
        Ratio(
            name="sqlmesh plan of the commerce models" + ("" if select == "*" else f" {select}"),
            measured=measured,
            reference=reference,
            reference_name="their SQL in DuckDB",
            note=f"scale {scale:g}; start-up, audits and the release included",
        )
    ]


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _run(folder: Path, *command: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAVRA_")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed: {done.stdout[-2000:]}{done.stderr}")
    return done.stdout
