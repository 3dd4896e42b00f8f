"""The SQL dialect under which Superset parses and rewrites statements for the service.

Superset writes every statement anew with sqlglot before it is sent. A function that the dialect
does not spell DataFusion's way would change its meaning there, so this dialect derives from
Postgres, whose syntax DataFusion shares, and keeps DataFusion's names where they differ.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres

# Functions that sqlglot turns into another spelling, kept as they were written.
KEPT_FUNCTIONS = (
    "array_agg", "array_length", "array_to_string", "bit_and", "bit_or", "bit_xor", "bool_and",
    "bool_or", "char_length", "character_length", "concat", "concat_ws", "date_bin", "date_format",
    "date_part", "date_trunc", "datepart", "datetrunc", "encode", "decode", "first_value",
    "from_unixtime", "generate_series", "greatest", "initcap", "isnan", "last_value", "least",
    "length", "levenshtein", "log", "log10", "log2", "lpad", "make_date", "md5", "median",
    "nth_value", "nvl", "pow", "power", "random", "regexp_count", "regexp_like", "regexp_match",
    "regexp_replace", "repeat", "reverse", "rpad", "sha256", "sha512", "split_part", "stddev",
    "stddev_pop", "stddev_samp", "starts_with", "string_agg", "string_to_array", "strpos",
    "struct", "substr", "substr_index", "substring_index", "to_char", "to_date", "to_hex",
    "to_timestamp", "to_timestamp_seconds", "to_timestamp_millis", "to_timestamp_micros",
    "to_unixtime", "trunc", "uuid", "var", "var_pop", "var_samp", "variance", "ceil", "ceiling",
    "approx_distinct", "approx_median", "approx_percentile_cont", "arrow_cast", "arrow_typeof",
    "bit_length", "btrim", "ltrim", "rtrim", "chr", "ascii", "covar_pop", "covar_samp", "corr",
    "cardinality", "flatten", "range", "map", "named_struct", "get_field", "nvl2", "nanvl",
    "current_date", "current_time", "now", "today", "octet_length", "translate", "cbrt", "signum",
    "array_distinct", "array_sort", "array_position", "array_contains", "array_append",
    "array_concat", "unnest", "grouping", "ln", "exp", "sqrt", "abs", "round", "floor", "sign",
)  # fmt: skip
_SPECIAL_SYNTAX = {
    "array_agg", "concat", "current_date", "current_time", "first_value", "grouping",
    "last_value", "map", "nth_value", "range", "string_agg", "unnest",
}  # fmt: skip


def _keep(name: str) -> Any:
    def build(arguments: list[Any]) -> exp.Expression:
        return exp.Anonymous(this=name, expressions=arguments)

    return build


class LavraParser(Postgres.Parser):
    """Functions keep their names."""

    FUNCTIONS = {
        **Postgres.Parser.FUNCTIONS,
        **{name.upper(): _keep(name) for name in KEPT_FUNCTIONS if name not in _SPECIAL_SYNTAX},
    }

    def _kv_to_prop_eq(
        self, expressions: list[exp.Expression], parse_map: bool = False
    ) -> list[exp.Expression]:
        """Keep ``struct(1 as a)``: nobody else would write it ``struct(a := 1)``."""
        return expressions


class LavraGenerator(Postgres.Generator):
    """Types are spelled DataFusion's way."""

    TYPE_MAPPING = {
        **Postgres.Generator.TYPE_MAPPING,
        exp.DataType.Type.DOUBLE: "DOUBLE",
        exp.DataType.Type.FLOAT: "FLOAT",
        exp.DataType.Type.TINYINT: "TINYINT",
        exp.DataType.Type.DATETIME: "TIMESTAMP",
    }


class Lavra(Postgres):
    """DataFusion's SQL, as far as Superset's rewriting touches it."""

    # The names of table functions are told apart by case: ``GENERATE_SERIES`` is none.
    NORMALIZE_FUNCTIONS = False
    Parser = LavraParser
    Generator = LavraGenerator
