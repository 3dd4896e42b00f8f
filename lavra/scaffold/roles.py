"""What a column is for: a name of things, a quantity, a category, a time, or none of these.

A type does not say it: a postal code and a weight are both whole numbers, and only one of them
may be summed. The column's name decides, in English, Portuguese and Spanish, and its values.
"""

from __future__ import annotations

from enum import StrEnum

from lavra.landing import types
from lavra.scaffold.naming import words
from lavra.scaffold.profile import ColumnProfile

CATEGORY_VALUES = 200
"""A column with more distinct values than this is no category."""

CLOSED_VALUES = 12
"""Up to this many values, each seen often, are taken for all that there will be."""

_SEEN_OFTEN = 5


class Role(StrEnum):
    """What a column is for; a place is a coordinate, or a year, which is one in time."""

    IDENTIFIER = "identifier"
    TIME = "time"
    MEASURE = "measure"
    CATEGORY = "category"
    PLACE = "place"
    TEXT = "text"


class Aggregate(StrEnum):
    """How a measure is brought together."""

    SUM = "sum"
    AVERAGE = "average"


_IDENTIFIERS = words(
    "id ids key code codes codigo cod zip zipcode cep postal postcode prefix phone telephone "
    "telefone fone fax cpf cnpj ssn sku ean gtin isbn uuid guid hash ref reference nr no num "
    "number numero tz timezone offset utc version account conta"
)
_OPAQUE = words("id ids key uuid guid hash")
_LEADING_IDENTIFIERS = words("id key code uuid guid sku codigo zip cep phone")
_PLACES = words("lat latitude lon lng long longitude")
_CALENDAR = words(
    "year yr ano anio month mes day dia weekday quarter trimestre week semana hour hora"
)
_TOTALS = words("total totals sum soma")
_INTENSIVE = words(
    "price preco precio unit unitario rate taxa tasa avg average mean media median percent pct "
    "percentage percentual ratio share index indice score rating nota grade temperature "
    "temperatura temp speed velocidade age idade weight peso height altura width largura length "
    "lenght comprimento depth per level balance saldo humidity pressure duration"
)
_ADDITIVE = words(
    "quantity qty quantidade qtd cantidad amount montante revenue receita sales vendas count "
    "units cost custo freight frete gross net discount desconto tax imposto fee tarifa paid "
    "clicks views visits impressions sold orders pedidos items itens passengers cases deaths "
    "income expense expenses profit lucro volume population populacao spend sessions"
)


def role_of(column: ColumnProfile) -> Role:
    """Return what a column is for."""
    parts = column.name.split("_")
    if column.is_temporal:
        return Role.TIME
    if column.type.name == types.BOOLEAN:
        return Role.CATEGORY
    if _is_called_identifier(parts) and not _is_category_of_codes(column, parts):
        return Role.IDENTIFIER
    if column.is_numeric:
        return _role_of_number(column, parts)
    if not column.is_text:
        return Role.TEXT
    return Role.CATEGORY if _is_category(column) else Role.TEXT


def aggregate_of(name: str) -> Aggregate:
    """Return how a measure of this name is brought together.

    What is not known to be a quantity of something is averaged: the sum of rates, prices or
    temperatures means nothing.
    """
    parts = set(name.split("_"))
    if parts & _TOTALS:
        return Aggregate.SUM
    if parts & _INTENSIVE or not parts & _ADDITIVE:
        return Aggregate.AVERAGE
    return Aggregate.SUM


def is_closed(column: ColumnProfile) -> bool:
    """Whether the column's values look like all that there will be.

    Few of them, and each seen several times: the file has shown them all long ago.
    """
    return (
        (column.is_text or column.type.name == types.INTEGER)
        and 2 <= len(column.values) <= CLOSED_VALUES
        and column.values[-1][1] >= _SEEN_OFTEN
    )


def likely_keys(columns: tuple[ColumnProfile, ...], table: str, singular: str) -> list[str]:
    """Return the columns that are called like keys, the likeliest of ``table`` first."""
    first = [f"{singular}_id", f"{table}_id", "id", f"{singular}_key", f"{singular}_code"]
    called = [c.name for c in columns if _is_called_identifier(c.name.split("_"))]
    return sorted(called, key=lambda name: first.index(name) if name in first else len(first))


def _is_called_identifier(parts: list[str]) -> bool:
    return parts[-1] in _IDENTIFIERS or parts[0] in _LEADING_IDENTIFIERS


def _is_category_of_codes(column: ColumnProfile, parts: list[str]) -> bool:
    """Whether an identifier's name stands over a few codes that people know (BR, USD)."""
    return (
        column.is_text
        and parts[-1] not in _OPAQUE
        and 0 < len(column.values) * _SEEN_OFTEN <= column.rows - column.nulls
    )


def _role_of_number(column: ColumnProfile, parts: list[str]) -> Role:
    if parts[-1] in _PLACES:
        return Role.PLACE
    whole = column.type.name == types.INTEGER
    if whole and set(parts) & _CALENDAR:
        return Role.CATEGORY if _is_category(column) else Role.PLACE
    if whole and column.is_unique and column.rows > 2 and _is_run(column):
        return Role.IDENTIFIER  # rows numbered one by one
    return Role.MEASURE if column.distinct > 0 else Role.TEXT


def _is_run(column: ColumnProfile) -> bool:
    return bool(column.maximum - column.minimum + 1 == column.rows)


def _is_category(column: ColumnProfile) -> bool:
    known = column.rows - column.nulls
    return 2 <= column.distinct <= CATEGORY_VALUES and column.distinct * 2 <= known
