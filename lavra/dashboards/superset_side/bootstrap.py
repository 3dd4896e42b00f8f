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
_VIEWER = {
    ("menu_access", "Dashboards"),
    ("menu_access", "Home"),
    ("can_csv", "Superset"),
    ("can_drill", "Dashboard"),
    ("can_get", "MenuApi"),
    ("can_get_drill_info", "Dataset"),
    ("can_language_pack", "Superset"),
    ("can_log", "Superset"),
    ("can_read", "AvailableDomains"),
    ("can_read", "SecurityRestApi"),
    ("can_recent_activity", "Log"),
    ("can_share_dashboard", "Superset"),
    ("can_view_chart_as_table", "Dashboard"),
    ("can_write", "DashboardPermalinkRestApi"),
}
"""What looking at dashboards needs beside the permissions of Superset's public role."""


class Bootstrap:
    """Runs the steps of one task inside an application context.

    Args:
        app: Superset's application.
        task: ``admin``; ``digests`` by step; ``files`` of the bundle, or None to remove what was
            imported; ``owned`` uuids by kind; the ``database``'s uuid; ``suffix`` of the notes
            (each preview has notes of its own); ``roles``, where they are to be granted;
            ``opened_by``: for each dashboard's uuid the roles that may open it.
    """

    def __init__(self, app: Any, task: dict[str, Any]) -> None:
        self.app = app
        self.task = task
        self.suffix: str = task["suffix"]
        self.timings: dict[str, float] = {}
        self.pruned: list[str] = []

    def run(self) -> None:
        """Migrate, sync roles, ensure the admin, import; each only when it is due."""
        self._step("migrate", self._migrate)
        self._step("roles", self._sync_roles)
        self._step("admin", self._ensure_admin)
        if self.task["files"] is None:
            self._remove()
        else:
            self._step(f"assets{self.suffix}", self._import_assets)
        if self.task["roles"] is not None:
            self._step("grants", self._grant)

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
        from superset import appbuilder, db, security_manager

        # There are 600 commits here, and nobody else writes: objects need not be read anew after
        # each, which is a third of this step's time.
        session = db.session()
        session.expire_on_commit = False
        try:
            appbuilder.add_permissions(update_perms=True)
            security_manager.sync_role_definitions()
        finally:
            session.expire_on_commit = True
            session.expire_all()

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
            self._restrict()
            self._prune()
        self._note(
            f"imported{self.suffix}", json.dumps(snapshot.take(self.task["owned"]), default=str)
        )

    def _grant(self) -> None:
        """Give each role of the lake its permissions; remove those that git no longer has."""
        from superset.models.core import Database

        from superset import db, security_manager

        database = db.session.query(Database).filter_by(uuid=self.task["database"]).one()
        names = _VIEWER | security_manager.PUBLIC_ROLE_PERMISSIONS
        known = [security_manager.find_permission_view_menu(*name) for name in sorted(names)]
        data = security_manager.add_permission_view_menu("database_access", database.perm)
        viewer = [data, *filter(None, known)]
        more = {
            "edit": security_manager.find_role("Gamma").permissions,
            "sql_lab": security_manager.find_role("sql_lab").permissions,
        }
        for name, has in self.task["roles"].items():
            added = [found for kind in more if has[kind] for found in more[kind]]
            security_manager.add_role(name).permissions = list({*viewer, *added})
        for name in json.loads(self._noted().get("roles_owned") or "[]"):
            if name not in self.task["roles"] and (gone := security_manager.find_role(name)):
                self.pruned.append(f"role {name}")
                db.session.delete(gone)
        db.session.commit()
        self._restrict()
        self._note("roles_owned", json.dumps(list(self.task["roles"])))

    def _restrict(self) -> None:
        """Let the roles that a dashboard names open it, and Admin; without any it is for all.

        The first import comes before the roles: until they are made it is for Admin alone.
        """
        from superset.models.dashboard import Dashboard

        from superset import db, security_manager

        for uuid, names in self.task["opened_by"].items():
            dashboard = db.session.query(Dashboard).filter_by(uuid=uuid).one()
            found = [security_manager.find_role(name) for name in ("Admin", *names) if names]
            dashboard.roles = list({role.id: role for role in found if role}.values())
        db.session.commit()

    def _prune(self) -> None:
        """Remove what an earlier import made and this one no longer holds."""
        from superset.connectors.sqla.models import SqlaTable
        from superset.models.dashboard import Dashboard
        from superset.models.slice import Slice

        from superset import db

        models = {"dashboards": Dashboard, "charts": Slice, "datasets": SqlaTable}
        owned = json.loads(self._noted().get(f"owned{self.suffix}") or "{}")
        kept = self.task["owned"]
        for kind, model in models.items():
            for uuid in sorted(set(owned.get(kind, ())) - set(kept[kind])):
                gone = db.session.query(model).filter_by(uuid=uuid).first()
                if gone is not None:
                    self.pruned.append(f"{kind[:-1]} {gone}")
                    db.session.delete(gone)
        db.session.commit()
        self._note(f"owned{self.suffix}", json.dumps(kept))

    def _remove(self) -> None:
        """Remove all that was imported with these notes, the database entry, and the notes."""
        from superset.models.core import Database

        from superset import db

        self._prune()
        for database in db.session.query(Database).filter_by(uuid=self.task["database"]):
            db.session.delete(database)
        db.session.commit()
        with self._engine().begin() as connection:
            for note in ("assets", "imported", "owned"):
                connection.execute(
                    sa.text(f"delete from {STATE_TABLE} where step = :step"),  # noqa: S608 - a constant
                    {"step": f"{note}{self.suffix}"},
                )

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
