"""Bring Superset's metadata to what the lake declares: one process, safe to run again.

    python bootstrap.py TASK.json

reads what to do from a JSON file and writes the outcome to the file that it names. Steps whose
digest is the one noted in the metadata database are skipped.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable

STATE_TABLE = "lavra_bootstrap"


class Bootstrap:
    """Runs the steps of one task inside an application context.

    Args:
        app: Superset's application.
        task: ``admin``, ``digests`` by step, ``files`` of the bundle, ``prune`` uuids by kind.
    """

    def __init__(self, app: Any, task: dict[str, Any]) -> None:
        self.app = app
        self.task = task
        self.timings: dict[str, float] = {}
        self.pruned: list[str] = []

    def run(self) -> None:
        """Migrate, sync roles, ensure the admin, import; each only when it is due."""
        self._step("migrate", self._migrate)
        self._step("roles", self._sync_roles)
        self._step("admin", self._ensure_admin)
        if self.task["files"] is not None:
            self._step("assets", self._import_assets)

    def _step(self, name: str, action: Callable[[], None]) -> None:
        digest = self.task["digests"][name]
        if name in self.task["force"] or self._noted().get(name) != digest:
            started = time.monotonic()
            action()
            self._note(name, digest)
            self.timings[name] = round(time.monotonic() - started, 2)

    def _migrate(self) -> None:
        import flask_migrate

        import superset

        folder = Path(superset.__file__).parent / "migrations"
        flask_migrate.upgrade(directory=str(folder))

    def _sync_roles(self) -> None:
        from superset import appbuilder, security_manager

        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()

    def _ensure_admin(self) -> None:
        from superset import security_manager

        admin = self.task["admin"]
        user = security_manager.find_user(username=admin["username"])
        if user is None:
            made = security_manager.add_user(
                admin["username"],
                "Lavra",
                "Admin",
                admin["email"],
                security_manager.find_role("Admin"),
                password=admin["password"],
            )
            if not made:
                raise RuntimeError("Superset did not make the admin; its log says why")
        else:
            security_manager.reset_password(user.id, admin["password"])

    def _import_assets(self) -> None:
        import snapshot  # type: ignore[import-not-found]  # beside this file, when it runs
        from superset.commands.importers.v1.assets import ImportAssetsCommand
        from superset.utils.core import override_user

        from superset import security_manager

        admin = security_manager.find_user(username=self.task["admin"]["username"])
        with override_user(admin):
            ImportAssetsCommand(dict(self.task["files"])).run()
            self._prune()
        self._note("imported", json.dumps(snapshot.take(self.task["owned"]), default=str))

    def _prune(self) -> None:
        """Remove what an earlier import made and this one no longer holds."""
        from superset.connectors.sqla.models import SqlaTable
        from superset.models.dashboard import Dashboard
        from superset.models.slice import Slice

        from superset import db

        models = {"dashboards": Dashboard, "charts": Slice, "datasets": SqlaTable}
        owned = json.loads(self._noted().get("owned") or "{}")
        kept = self.task["owned"]
        for kind, model in models.items():
            for uuid in sorted(set(owned.get(kind, ())) - set(kept[kind])):
                gone = db.session.query(model).filter_by(uuid=uuid).first()
                if gone is not None:
                    self.pruned.append(f"{kind[:-1]} {gone}")
                    db.session.delete(gone)
        db.session.commit()
        self._note("owned", json.dumps(kept))

    def _noted(self) -> dict[str, str]:
        with self._engine().begin() as connection:
            if not sa.inspect(connection).has_table(STATE_TABLE):
                return {}
            rows = connection.execute(sa.text(f"select step, digest from {STATE_TABLE}"))  # noqa: S608 - a constant
            return {row[0]: row[1] for row in rows}

    def _note(self, step: str, digest: str) -> None:
        with self._engine().begin() as connection:
            connection.execute(
                sa.text(
                    f"create table if not exists {STATE_TABLE} "
                    "(step varchar(40) primary key, digest text not null)"
                )
            )
            connection.execute(
                sa.text(f"delete from {STATE_TABLE} where step = :step"),  # noqa: S608 - a constant
                {"step": step},
            )
            connection.execute(
                sa.text(f"insert into {STATE_TABLE} (step, digest) values (:step, :digest)"),  # noqa: S608 - a constant
                {"step": step, "digest": digest},
            )

    def _engine(self) -> Any:
        from superset import db

        return db.engine


def problems_of(error: BaseException) -> list[str]:
    """Return what Superset holds against a bundle, each with its file and field."""
    root = error
    while True:
        normalized = getattr(root, "normalized_messages", None)
        if normalized and (found := _flat("", normalized())):
            return found
        cause = root.__cause__ or root.__context__
        if cause is None:
            return [f"{type(root).__name__}: {root}"]
        root = cause


def _flat(path: str, value: Any) -> list[str]:
    if isinstance(value, dict):
        return [line for k, v in value.items() for line in _flat(f"{path}: {k}" if path else k, v)]
    if isinstance(value, (list, tuple)) and not all(isinstance(item, str) for item in value):
        return [line for item in value for line in _flat(path, item)]
    text = ", ".join(value) if isinstance(value, (list, tuple)) else str(value)
    return [f"{path}: {text}"]


def main(task_file: str) -> int:
    """Run one task; return the exit status."""
    started = time.monotonic()
    task = json.loads(Path(task_file).read_text("utf-8"))
    from superset.app import create_app

    app = create_app()
    outcome: dict[str, Any]
    with app.app_context():
        bootstrap = Bootstrap(app, task)
        bootstrap.timings["start"] = round(time.monotonic() - started, 2)
        try:
            bootstrap.run()
            outcome = {"timings_s": bootstrap.timings, "pruned": bootstrap.pruned}
        except Exception as error:  # noqa: BLE001 - reported, and by exit status too
            outcome = {"problems": problems_of(error)}
            traceback.print_exc()
    Path(task["outcome_file"]).write_text(json.dumps(outcome), "utf-8")
    return 1 if "problems" in outcome else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
