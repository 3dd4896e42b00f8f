"""Resources as flat fields, so that three sides of one can be compared.

A field's name is its path (``configuration.ssl_mode.mode``); its value is plain JSON. A secret's
value never leaves this module but as a salted digest.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Any

Fields = dict[str, Any]

_MASK = re.compile(r"^\*{3,}$")


@dataclass(frozen=True)
class Secret:
    """A value that came from the environment, or that the server masks."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(...)"


def flatten(value: Any, path: str = "") -> Fields:
    """Return the leaves of a JSON object by path; a list is one leaf, an empty object none."""
    if isinstance(value, dict):
        found: Fields = {}
        for key, inner in value.items():
            found |= flatten(inner, f"{path}.{key}" if path else str(key))
        return found
    return {path: value}


def is_mask(value: Any) -> bool:
    """Whether the server hides this value; also within a list."""
    if isinstance(value, list):
        return any(is_mask(item) for item in value)
    return isinstance(value, str) and bool(_MASK.match(value))


def digest(value: Any, salt: str) -> str:
    """Return the salted digest of a value."""
    return hmac.new(salt.encode(), canonical(value).encode(), hashlib.sha256).hexdigest()


def canonical(value: Any) -> str:
    """Return JSON in which equal values are equal texts: 1 and 1.0, keys in any order."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def recorded(fields: Fields, salt: str) -> dict[str, dict[str, Any]]:
    """Return fields as the catalog keeps them: ``{"value"}``, or ``{"digest"}`` of secrets."""
    return {
        path: {"digest": digest(value.value, salt)}
        if isinstance(value, Secret)
        else {"value": value}
        for path, value in fields.items()
    }


def equals_recorded(value: Any, kept: dict[str, Any] | None, salt: str) -> bool:
    """Whether a field's value is the one that was recorded."""
    if kept is None:
        return False
    plain = value.value if isinstance(value, Secret) else value
    if "digest" in kept:
        return hmac.compare_digest(digest(plain, salt), kept["digest"])
    return canonical(plain) == canonical(kept["value"])


def shown(value: Any) -> str:
    """Return a value as people see it in a plan."""
    if isinstance(value, Secret):
        return "(secret)"
    return "(masked)" if is_mask(value) else canonical(value)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
