"""``${NAME}`` and ``${NAME:-default}`` in a declaration, resolved from the environment."""

from __future__ import annotations

import re
from typing import Any

from lavra.settings import referenced

REFERENCE_PATTERN = r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}"
_REFERENCE = re.compile(REFERENCE_PATTERN)


def refers(text: str) -> bool:
    """Whether a text holds a reference, so that only a run knows what it is."""
    return _REFERENCE.search(text) is not None


def unset(value: Any) -> list[str]:
    """Return the names that a value refers to, without default, and the environment lacks."""
    missing = [
        found[1]
        for text in _texts(value)
        for found in _REFERENCE.finditer(text)
        if found[2] is None and referenced(found[1]) is None
    ]
    return list(dict.fromkeys(missing))


def resolve(value: Any) -> Any:
    """Return a value with its references replaced; one that is unset becomes empty."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: referenced(found[1]) or found[2] or "", value)
    if isinstance(value, dict):
        return {key: resolve(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner) for inner in value]
    return value


def secrets_of(value: Any) -> list[str]:
    """Return what a value's references stand for in the environment: treated as secret."""
    found = [referenced(name[1]) for text in _texts(value) for name in _REFERENCE.finditer(text)]
    return [text for text in found if text]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return []
