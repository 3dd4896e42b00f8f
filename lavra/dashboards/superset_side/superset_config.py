"""Superset's configuration for a lake; a project overrides it in its superset_config.py."""

import json
import logging
import os
import sys
from copy import deepcopy
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from superset.utils.log import DBEventLogger

from lavra_driver.superset.release_cache import key_by_release
from lavra_driver.superset.sqlglot_dialect import Lavra
from superset import config as defaults

_runtime: dict[str, Any] = json.loads(Path(os.environ["LAVRA_SUPERSET_RUNTIME"]).read_text("utf-8"))

SECRET_KEY = _runtime["secret_key"]
SQLALCHEMY_DATABASE_URI = _runtime["metadata_uri"]
SQLALCHEMY_ENGINE_OPTIONS = {"pool_pre_ping": True}

# With this the engine spec signs who asks; the service believes nothing else of who it is.
LAVRA_SIGNING = _runtime["signing"]

# Superset rewrites each statement; without our dialect some functions would change meaning.
SQLGLOT_DIALECTS_EXTENSIONS = {"lavra": Lavra}

APP_NAME = _runtime["title"]
LANGUAGES = {
    "en": {"flag": "us", "name": "English"},
    "pt_BR": {"flag": "br", "name": "Português do Brasil"},
}
BABEL_DEFAULT_LOCALE = _runtime["locale"]
if _runtime["locale"] == "pt_BR":
    D3_FORMAT = {"decimal": ",", "thousands": ".", "grouping": [3], "currency": ["R$ ", ""]}
    D3_TIME_FORMAT = {
        "dateTime": "%A, %e de %B de %Y. %X", "date": "%d/%m/%Y", "time": "%H:%M:%S",
        "periods": ["AM", "PM"],
        "days": ["Domingo", "Segunda", "Terça", "Quarta", "Quinta", "Sexta", "Sábado"],
        "shortDays": ["Dom", "Seg", "Ter", "Qua", "Qui", "Sex", "Sáb"],
        "months": ["janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto",
                   "setembro", "outubro", "novembro", "dezembro"],
        "shortMonths": ["jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out",
                        "nov", "dez"],
    }  # fmt: skip
CURRENCIES = ["BRL", "USD", "EUR", "GBP"]

# Tiles are kept by release, rights and user, so a kept one is what the service would answer now.
# The states of filters and of the editor are kept in the metadata database.
DATA_CACHE_CONFIG = {
    "CACHE_TYPE": "lavra_driver.superset.release_cache.ReleaseCache",
    "CACHE_DIR": str(Path(os.environ["SUPERSET_HOME"]) / "tiles"),
    "CACHE_THRESHOLD": 500,
    "CACHE_DEFAULT_TIMEOUT": 24 * 60 * 60,
}


def _keep_limits() -> None:
    """Let SQL Lab keep a statement's own LIMIT (apache/superset#40070).

    It writes the limit down without a commit, and the session that runs the statement then reads
    the drop-down's limit instead, by which it replaces the statement's.
    """
    from superset.commands.sql_lab.execute import ExecuteSqlCommand

    from superset import db

    set_limit = ExecuteSqlCommand._set_query_limit  # noqa: SLF001 - there is no hook

    def set_and_commit(self: Any, rendered_query: str) -> None:
        set_limit(self, rendered_query)
        db.session.commit()

    ExecuteSqlCommand._set_query_limit = set_and_commit  # noqa: SLF001


def FLASK_APP_MUTATOR(app: Any) -> None:  # noqa: N802 - Superset's name
    """Complete the application: without the first line no tile is kept."""
    key_by_release(app)
    _keep_limits()


class _EventsOfNobody:
    """Keeps the browser's event log from taking a session away.

    The login page sends its events as nobody while it is left. Superset sends those on to the login
    page, and if that answer arrives after the login's, its cookie puts nobody's session over the
    user's, who would have to log in again. So they get no cookie, and are sent nowhere.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("PATH_INFO") != "/superset/log/":
            return self._app(environ, start_response)
        redirects = False

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal redirects
            redirects = status.startswith("3")
            if redirects:
                return start_response("204 NO CONTENT", [], *rest)
            kept = [header for header in headers if header[0].lower() != "set-cookie"]
            return start_response(status, kept, *rest)

        answer = self._app(environ, start)
        if redirects:
            if hasattr(answer, "close"):
                answer.close()
            return []
        return answer


ADDITIONAL_MIDDLEWARE = [_EventsOfNobody]

CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
# A dashboard that reloads by itself asks again, and takes a kept tile while there is no release.
DASHBOARD_AUTO_REFRESH_MODE = "fetch"


class _EventLogger(DBEventLogger):  # type: ignore[misc]
    """Superset's own, which commits even where there is nothing to write down.

    Each commit makes SQLAlchemy read all objects again: a third of a tile's time.
    """

    def log(self, *args: Any, **event: Any) -> None:
        if event.get("records") or event.get("curated_payload"):
            super().log(*args, **event)


EVENT_LOGGER = _EventLogger()
ROW_LIMIT = 50_000
SQL_MAX_ROW = 100_000
SUPERSET_WEBSERVER_TIMEOUT = 120

FEATURE_FLAGS = {
    "DASHBOARD_RBAC": True,
    "HORIZONTAL_FILTER_BAR": True,
    "ALERT_REPORTS": False,
    "ESTIMATE_QUERY_COST": True,
    "CACHE_QUERY_BY_USER": True,
    # Charts ask how far the data goes. What a person may read is decided by the service.
    "ALLOW_ADHOC_SUBQUERY": True,
}
FAB_ADD_SECURITY_API = True
RATELIMIT_ENABLED = False
SESSION_COOKIE_SAMESITE = "Lax"

# Superset asks a third party for a pixel on each page; a lake tells nobody who looks at it.
TALISMAN_CONFIG = deepcopy(defaults.TALISMAN_CONFIG)
_policy = TALISMAN_CONFIG["content_security_policy"]
for _directive in ("img-src", "connect-src"):
    if _directive in _policy:
        _policy[_directive] = [source for source in _policy[_directive] if "scarf.sh" not in source]

_PALETTE = ["#0f766e", "#e08e45", "#3b5b92", "#b4516d", "#7a9e4e", "#8a6fb0", "#c9a227",
            "#4fa3b5", "#a65e3a", "#6b7280", "#2f8f5b", "#d16d8e"]  # fmt: skip
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "lavra",
        "label": "Lavra",
        "description": "",
        "isDefault": True,
        "colors": _PALETTE,
    }
]
EXTRA_SEQUENTIAL_COLOR_SCHEMES = [
    {
        "id": "lavra_sequence",
        "label": "Lavra",
        "description": "",
        "isDiverging": False,
        "isDefault": True,
        "colors": ["#f1f7f6", "#cfe5e1", "#9accc4", "#5aaea2", "#258f82", "#0f766e", "#0a4f4a"],
    }
]
_MARK = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} 40' height='40'>"
    "<path d='M4 30 L16 8 L28 30 Z' fill='#0f766e'/><path d='M18 30 L25 17 L32 30 Z' "
    "fill='#e08e45'/><text x='42' y='28' font-family='Inter, Helvetica, Arial, sans-serif' "
    "font-size='22' font-weight='600' fill='{ink}'>{title}</text></svg>"
)


def _logo(ink: str) -> str:
    """The lake's name beside a mark, as an image that needs no file."""
    title = _runtime["title"]
    svg = _MARK.format(width=52 + 13 * len(title), ink=ink, title=escape(title))
    return f"data:image/svg+xml,{quote(svg)}"


THEME_DEFAULT = deepcopy(defaults.THEME_DEFAULT)
THEME_DEFAULT["token"] |= {
    "brandAppName": _runtime["title"],
    "brandLogoAlt": _runtime["title"],
    "brandLogoUrl": _logo("#1f2937"),
    "colorPrimary": "#0f766e",
    "colorLink": "#0f766e",
}
THEME_DARK = deepcopy(defaults.THEME_DARK)
THEME_DARK["token"] |= {
    "brandAppName": _runtime["title"],
    "brandLogoAlt": _runtime["title"],
    "brandLogoUrl": _logo("#f3f4f6"),
    "colorPrimary": "#5aaea2",
    "colorLink": "#5aaea2",
}

# No examples, and nothing that phones home.
SUPERSET_LOAD_EXAMPLES = False
LOG_LEVEL = getattr(logging, _runtime["log_level"].upper())
SILENCE_FAB = True

if _runtime["single_sign_on"]:
    sys.path.append(str(Path(__file__).parent))
    from single_sign_on import configuration  # type: ignore[import-not-found]  # beside this file

    globals().update(configuration(_runtime["single_sign_on"]))

_override = _runtime["project_config"]
if _override:
    exec(  # noqa: S102 - the project's own configuration, as Superset loads its own
        compile(Path(_override).read_text("utf-8"), _override, "exec"), globals()
    )
