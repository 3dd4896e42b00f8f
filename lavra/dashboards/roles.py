"""Who may do what in Superset, as code: ``superset/roles.yaml``.

Superset's roles say which pages and actions a person has. What data they see is decided by the
query service, whatever their role is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lavra.errors import ConfigurationError, DashboardError
from lavra.settings import referenced

if TYPE_CHECKING:
    from lavra.settings import Settings

ROLES = Path("superset") / "roles.yaml"
ADMIN = "Admin"
_SUPERSETS_OWN = ("Alpha", "Gamma", "Public", "sql_lab")
EVERYONE = "*"
"""The group, towards Superset, of everybody who logs in; no provider can name it."""


class Role(BaseModel):
    """One role: what it adds to looking at dashboards, and who has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sql_lab: bool = Field(default=False, description="May write SQL.")
    edit: bool = Field(default=False, description="May make and change charts and dashboards.")
    everyone: bool = Field(default=False, description="Whoever logs in has it.")
    groups: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[], description="Values of the provider's claim whose holders have it."
    )


class Roles(BaseModel):
    """All roles of a lake. Without a file, everybody who logs in may look at the dashboards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claim: str = Field(default="groups", description="The claim that lists a person's groups.")
    username: str = Field(default="email", description="The claim that names the person.")
    roles: dict[str, Role] = {"Viewer": Role(everyone=True)}

    @model_validator(mode="after")
    def _fits(self) -> Roles:
        for name, role in self.roles.items():
            if name in _SUPERSETS_OWN:
                raise ValueError(f"{name} is a role of Superset's own: choose another name")
            if EVERYONE in role.groups:
                raise ValueError(f"{name}: no group is named {EVERYONE}: write everyone: true")
            if name == ADMIN and (role.sql_lab or role.edit or role.everyone):
                raise ValueError(f"{ADMIN} may do everything: give it groups only")
        return self

    @property
    def own(self) -> dict[str, dict[str, bool]]:
        """What each role but Superset's administrator adds, by name."""
        return {
            name: {"sql_lab": role.sql_lab, "edit": role.edit}
            for name, role in self.roles.items()
            if name != ADMIN
        }

    @property
    def mapping(self) -> dict[str, list[str]]:
        """The roles that each group brings."""
        found: dict[str, list[str]] = {}
        for name, role in self.roles.items():
            for group in (*role.groups, *([EVERYONE] if role.everyone else [])):
                found.setdefault(group, []).append(name)
        return found


def load_roles(project: Path) -> Roles:
    """Read a project's roles.

    Raises:
        DashboardError: the file is wrong; the message names each field.
    """
    path = project / ROLES
    if not path.is_file():
        return Roles()
    try:
        value: Any = yaml.safe_load(path.read_text("utf-8"))
        return Roles.model_validate(value or {})
    except yaml.YAMLError as error:
        raise DashboardError(f"{ROLES}: no YAML: {str(error).splitlines()[0]}") from error
    except ValidationError as error:
        lines = [
            ": ".join(filter(None, [str(ROLES), ".".join(map(str, e["loc"])), e["msg"]]))
            for e in error.errors(include_url=False, include_context=False)
        ]
        raise DashboardError("\n".join(lines)) from error


def single_sign_on(settings: Settings, admin: str) -> dict[str, Any] | None:
    """Return what Superset needs to know of the provider, or None without one.

    Args:
        settings: Name the provider and Superset's client there.
        admin: The lake's own administrator, whom no provider may name.

    Raises:
        ConfigurationError: there is an issuer, but no client.
        DashboardError: the roles are wrong.
    """
    if not settings.superset_oidc_issuer:
        return None
    secret = settings.superset_oidc_client_secret.get_secret_value()
    if reference := re.fullmatch(r"\$\{(\w+)\}", secret):
        secret = referenced(reference[1]) or ""
    if not settings.superset_oidc_client_id or not secret:
        raise ConfigurationError(
            "Single sign-on has an issuer, but no client id or no client secret.",
            remedy="Set LAVRA_SUPERSET_OIDC_CLIENT_ID and LAVRA_SUPERSET_OIDC_CLIENT_SECRET.",
        )
    roles = load_roles(settings.project)
    return {
        "issuer": settings.superset_oidc_issuer,
        "client_id": settings.superset_oidc_client_id,
        "client_secret": secret,
        "scope": settings.superset_oidc_scope,
        "claim": roles.claim,
        "username": roles.username,
        "mapping": roles.mapping,
        "admin": admin,
    }
