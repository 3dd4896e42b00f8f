"""The house rules of models, as rules of SQLMesh's linter.

They apply to every lake whose configuration is ``project_config``. A model that has a reason not
to follow one says so in its own file: ``ignored_rules ['hasgrain']`` in its MODEL block, with a
comment that gives the reason.
"""

from __future__ import annotations

from sqlglot import exp
from sqlmesh.core.linter.definition import RuleSet
from sqlmesh.core.linter.rule import Rule, RuleViolation
from sqlmesh.core.model import ExternalModel, Model, SqlModel

LAYERS = ("bronze", "silver", "gold")


class HasDescription(Rule):
    """A model says in its description what one row of it is, or what it is for."""

    def check_model(self, model: Model) -> RuleViolation | None:
        """Find a model without a description."""
        if isinstance(model, ExternalModel) or (model.description or "").strip():
            return None
        return self.violation("It has no description.")


class HasColumnComments(Rule):
    """Every column has a comment: readers of the lake see no other documentation."""

    def check_model(self, model: Model) -> RuleViolation | None:
        """Find columns without a comment."""
        if isinstance(model, ExternalModel) or model.kind.is_embedded:
            return None
        comments = model.column_descriptions
        missing = [c for c in model.columns_to_types or {} if not comments.get(c, "").strip()]
        if not missing:
            return None
        return self.violation(f"Columns without a comment: {', '.join(missing)}.")


class HasGrain(Rule):
    """A model names the columns that identify a row."""

    def check_model(self, model: Model) -> RuleViolation | None:
        """Find a model without a grain."""
        if isinstance(model, ExternalModel) or model.kind.is_embedded or model.grains:
            return None
        return self.violation("It declares no grain.")


class HasAudit(Rule):
    """A table has at least one audit: what no audit has seen must not reach a reader."""

    def check_model(self, model: Model) -> RuleViolation | None:
        """Find a table without an audit."""
        if isinstance(model, ExternalModel) or model.kind.is_embedded or model.audits:
            return None
        return self.violation("It has no audit.")


class CastsItsColumns(Rule):
    """A query casts each column it returns, so that its types do not follow those of its inputs."""

    def check_model(self, model: Model) -> RuleViolation | None:
        """Find projections that are no casts."""
        if not isinstance(model, SqlModel) or model.kind.is_embedded:
            return None
        loose = [
            projection.alias_or_name
            for projection in model.query.selects
            if not isinstance(projection, exp.Star)
            and not isinstance(projection.unalias(), (exp.Cast, exp.TryCast))
        ]
        if not loose:
            return None
        return self.violation(f"Columns that are not cast: {', '.join(loose)}.")


class NamesItsColumns(Rule):
    """A query names the columns it returns: ``SELECT *`` changes when its input does."""

    def check_model(self, model: Model) -> RuleViolation | None:
        """Find an outermost ``SELECT *``."""
        if not isinstance(model, SqlModel) or not model.query.is_star:
            return None
        return self.violation("Its outermost query selects *.")


class ReadsTheLayerBelow(Rule):
    """Bronze reads what landed, Silver reads Bronze or Silver, Gold reads Silver or Gold."""

    def check_model(self, model: Model) -> RuleViolation | None:
        """Find reads of a layer above, or of one that is not the next below."""
        layer = _layer(model.name)
        if layer is None:
            return None
        wrong = []
        for name in sorted(model.depends_on):
            below = _layer(name)
            if below is not None and layer - below not in {0, 1}:
                wrong.append(".".join(part.name for part in exp.to_table(name).parts[-2:]))
        if not wrong:
            return None
        return self.violation(f"A {LAYERS[layer]} model may not read {', '.join(wrong)}.")


HOUSE_RULES: tuple[type[Rule], ...] = (
    CastsItsColumns,
    HasAudit,
    HasColumnComments,
    HasDescription,
    HasGrain,
    NamesItsColumns,
    ReadsTheLayerBelow,
)
RULE_NAMES = frozenset(rule.name for rule in HOUSE_RULES)


def house_rules() -> RuleSet:
    """Return the rules as SQLMesh takes them."""
    return RuleSet(HOUSE_RULES)


def _layer(model_name: str) -> int | None:
    schema = exp.to_table(model_name, dialect="duckdb").db
    for number, layer in enumerate(LAYERS):
        if schema == layer or schema.startswith(f"{layer}_"):
            return number
    return None
