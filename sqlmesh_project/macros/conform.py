"""Macros that every domain's models use to conform values."""

from sqlglot import exp
from sqlmesh import macro
from sqlmesh.core.macros import MacroEvaluator

STATES = (
    "AC", "AL", "AM", "AP", "BA", "CE", "DF", "ES", "GO", "MA", "MG", "MS", "MT", "PA", "PB", "PE",
    "PI", "PR", "RJ", "RN", "RO", "RR", "RS", "SC", "SE", "SP", "TO",
)  # fmt: skip


@macro()
def recency(
    evaluator: MacroEvaluator,  # noqa: ARG001
    key: exp.Expression,
    cursor: exp.Expression | None = None,
) -> exp.Expression:
    """Rank the landed rows of one key, the current one first.

    A later generation replaces an earlier one; within it, the source's cursor decides, then the
    time of extraction. The row's id comes last, so that the choice never is an accident.
    """
    order = ["_airbyte_generation_id", "_airbyte_extracted_at", "_airbyte_raw_id"]
    columns: list[exp.Expression] = [exp.column(name) for name in order]
    if cursor is not None:
        columns.insert(1, cursor)
    return exp.Window(
        this=exp.RowNumber(),
        partition_by=[key],
        order=exp.Order(
            expressions=[exp.Ordered(this=c, desc=True, nulls_first=False) for c in columns]
        ),
    )


@macro()
def utc(evaluator: MacroEvaluator, instant: exp.Expression) -> exp.Expression:  # noqa: ARG001
    """Turn an instant (timestamp with time zone) into a plain timestamp of UTC."""
    return exp.cast(exp.AtTimeZone(this=instant, zone=exp.Literal.string("UTC")), "TIMESTAMP")


@macro()
def business_date(evaluator: MacroEvaluator, timestamp: exp.Expression) -> exp.Expression:
    """Return the day, in the lake's business time zone, of a plain timestamp of UTC."""
    zone = exp.Literal.string(evaluator.var("time_zone", "UTC"))
    instant = exp.AtTimeZone(this=timestamp, zone=exp.Literal.string("UTC"))
    return exp.cast(exp.AtTimeZone(this=exp.paren(instant), zone=zone), "DATE")


@macro()
def tidy(evaluator: MacroEvaluator, text: exp.Expression) -> exp.Expression:  # noqa: ARG001
    """Trim a text and make each run of white space one blank; an empty one is NULL."""
    blanks, one = exp.Literal.string(r"\s+"), exp.Literal.string(" ")
    collapsed = exp.RegexpReplace(
        this=text, expression=blanks, replacement=one, modifiers=exp.Literal.string("g")
    )
    return exp.func("NULLIF", exp.func("TRIM", collapsed), exp.Literal.string(""))


@macro()
def rejection(evaluator: MacroEvaluator, *cases: exp.Expression) -> exp.Expression:  # noqa: ARG001
    """Join the reasons whose conditions hold: ``@rejection(condition, 'reason', ...)``.

    NULL when none does, so that a row is accepted where this is NULL. A condition that is NULL
    does not hold: write conditions for missing values out.
    """
    none, separator = exp.Literal.string(""), "; "
    # Not CONCAT_WS: engines disagree on what it makes of a NULL.
    reasons: exp.Expression = none.copy()
    for condition, reason in zip(cases[::2], cases[1::2], strict=True):
        text = exp.Literal.string(reason.name + separator)
        case = exp.Case(ifs=[exp.If(this=condition, true=text)], default=none.copy())
        reasons = exp.DPipe(this=reasons, expression=case, safe=True)
    joined = exp.Trim(this=reasons, expression=exp.Literal.string(separator), position="TRAILING")
    return exp.func("NULLIF", joined, none)


@macro()
def not_one_of(
    evaluator: MacroEvaluator,  # noqa: ARG001
    value: exp.Expression,
    *accepted: exp.Expression,
) -> exp.Expression:
    """Whether a value is missing or none of the accepted ones."""
    return exp.paren(
        exp.or_(exp.Is(this=value, expression=exp.null()), exp.not_(value.isin(*accepted)))
    )


@macro()
def email(evaluator: MacroEvaluator, text: exp.Expression) -> exp.Expression:
    """Return an electronic mail address in lower case, or NULL where there is no valid one."""
    lowered = exp.Lower(this=tidy(evaluator, text))
    return _if_matches(lowered, r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$")


@macro()
def state(evaluator: MacroEvaluator, text: exp.Expression) -> exp.Expression:
    """Return a Brazilian state as its two capital letters, or NULL where there is no valid one."""
    upper = exp.Upper(this=tidy(evaluator, text))
    return _if_matches(upper, f"^({'|'.join(STATES)})$")


@macro()
def place_name(evaluator: MacroEvaluator, text: exp.Expression) -> exp.Expression:
    """Write a Brazilian place as maps do: ``  RIO DE  JANEIRO`` becomes ``Rio de Janeiro``."""
    # By its bare name: as an expression it would be spelled out for DuckDB here already, and be
    # understood by no other engine.
    capitalised = exp.Anonymous(
        this="INITCAP", expressions=[tidy(evaluator, text), exp.Literal.string(" ")]
    )
    return exp.RegexpReplace(
        this=capitalised,
        expression=exp.Literal.string(r"\b(D)(a|e|o|as|os)\b"),
        replacement=exp.Literal.string(r"d\2"),
        modifiers=exp.Literal.string("g"),
    )


def _if_matches(value: exp.Expression, pattern: str) -> exp.Expression:
    matches = exp.RegexpLike(this=value, expression=exp.Literal.string(pattern))
    return exp.Case(ifs=[exp.If(this=matches, true=value.copy())])
