"""Report what Superset holds now, and what it held right after the last import.

python inspect_assets.py TASK.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import sqlalchemy as sa


def main(task_file: str) -> int:
    """Write both snapshots to the outcome file; return the exit status."""
    task = json.loads(Path(task_file).read_text("utf-8"))
    import snapshot  # type: ignore[import-not-found]  # beside this file, when it runs
    from superset.app import create_app

    with create_app().app_context():
        from superset import db

        notes = {}
        with db.engine.connect() as connection:
            if sa.inspect(connection).has_table("lavra_bootstrap"):
                rows = connection.execute(sa.text("select step, digest from lavra_bootstrap"))
                notes = {row[0]: row[1] for row in rows}
        owned = json.loads(notes.get("owned") or "{}")
        outcome = {
            "imported": json.loads(notes.get("imported") or "{}"),
            "now": snapshot.take(owned) | snapshot.placed_on(owned) if owned else {},
            "assets_digest": notes.get("assets"),
        }
    Path(task["outcome_file"]).write_text(json.dumps(outcome, default=str), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
