"""Names of tables and columns, from file names and headers of any kind.

A name is lower-case ASCII snake case, starts with a letter, is no reserved word of DuckDB,
DataFusion or Postgres, is at most :data:`LONGEST` characters long, and is unique where it stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

LONGEST = 50
"""Postgres allows 63 characters; SQLMesh and we append to names."""


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


RESERVED = words(
    """
    all alter analyse analyze and anti any array as asc asof asymmetric at authorization between
    binary both by case cast check cluster collate collation column concurrently constraint
    create cross cube current_catalog current_date current_time current_timestamp current_user
    default deferrable desc describe distinct distribute do drop else end except exclude exists
    explain false fetch for force foreign freeze from full glob grant group having if ilike in
    initially inner insert install intersect interval into is isnull join lambda lateral leading
    left like limit localtime localtimestamp lock map minus natural not notnull null offset on
    only or order out outer overlaps partitioned_by pivot pivot_longer pivot_wider placing
    positional primary qualify references regexp returning revoke right rlike rollback rollup
    rowid select semi session_user show similar some sort struct summarize symmetric table
    tablesample then to trailing trim true uncache union unique unpack unpivot user using values
    variadic verbose view when where window with xor
    """
)
"""Words that DuckDB, sqlglot or DataFusion do not take as a bare column name (each was tried)."""

# Letters that Unicode does not decompose into an ASCII letter and a mark.
_LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "æ": "ae", "Æ": "AE"}
    | {"œ": "oe", "Œ": "OE", "ð": "d", "þ": "th", "\u0131": "i"}
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")


def snake_case(text: str) -> str:
    """Return ``text`` in ASCII snake case; empty if it holds no Latin letter or digit.

    Accents are dropped (``Preço Médio`` is ``preco_medio``) and humps split (``unitPrice`` is
    ``unit_price``).
    """
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    ascii_only = plain.encode("ascii", "ignore").decode("ascii") if _has_latin(plain) else ""
    return _OTHER.sub("_", _CAMEL.sub("_", ascii_only).lower()).strip("_")


def _has_latin(text: str) -> bool:
    return any(c.isascii() and c.isalnum() for c in text)


def singular(name: str) -> str:
    """Return the last word of a snake-cased English or Portuguese name in the singular.

    Only the regular forms: a name it does not know stays as it is.
    """
    for ending, replacement in (
        ("ies", "y"),
        ("sses", "ss"),
        ("xes", "x"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("oes", "ao"),
    ):
        if name.endswith(ending) and len(name) > len(ending) + 1:
            return name[: -len(ending)] + replacement
    if name.endswith("s") and not name.endswith(("ss", "us", "is", "as")) and len(name) > 3:
        return name[:-1]
    return name


def plural(words: str) -> str:
    """Return a few words with the last one in the plural; only the regular forms."""
    if words.endswith(("s", "x", "ch", "sh")):
        return words if words.endswith("s") else f"{words}es"
    if words.endswith("y") and words[-2:-1] not in {"", *"aeiou"}:
        return f"{words[:-1]}ies"
    return f"{words}s"


def table_name(stem: str, position: int) -> str:
    """Return a table's name from a file's name without its ending; ``position`` counts from 1."""
    name = snake_case(stem) or f"table_{position}"
    if name[0].isdigit() or name in RESERVED:
        name = f"table_{name}"
    return _shorten(name, LONGEST - 10)


def column_names(headers: Iterable[str], table: str) -> list[str]:
    """Return one name for each header of ``table``, in order, each once.

    A header with nothing to make a name of becomes ``column_<position>``; one that starts with a
    digit gets ``column_`` before it; a reserved word gets the table's name, in the singular.
    """
    names: list[str] = []
    for position, header in enumerate(headers, start=1):
        name = snake_case(header) or f"column_{position}"
        if name[0].isdigit():
            name = f"column_{name}"
        elif name in RESERVED:
            name = f"{singular(table)}_{name}"
        names.append(unique(_shorten(name, LONGEST), names))
    return names


def unique(name: str, taken: Iterable[str]) -> str:
    """Return ``name``, or the first of ``name_2``, ``name_3``, ... that is not ``taken``."""
    used = set(taken)
    candidate, number = name, 1
    while candidate in used:
        number += 1
        ending = f"_{number}"
        candidate = _shorten(name, LONGEST - len(ending)) + ending
    return candidate


def project_name(folder: str) -> str:
    """Return a lake's name from a folder's: a letter, then letters, digits, underscores."""
    name = snake_case(folder) or "lake"
    if name[0].isdigit() or name in RESERVED:
        name = f"lake_{name}"
    return _shorten(name, 30)


def title(name: str) -> str:
    """Return a snake-cased name as a person writes it: ``unit_price`` is ``Unit price``."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _shorten(name: str, length: int) -> str:
    return name[:length].rstrip("_")
