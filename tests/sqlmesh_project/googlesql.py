"""Ask GoogleSQL's own analyzer about queries, by a Python that has zetasql and nothing of ours.

Standard input is JSON: ``tables``, name => column => type, and ``queries``, name => text. Standard
output is JSON: name => the columns and types of its result, or what the analyzer refuses it for.
"""

from __future__ import annotations

import json
import sys

from zetasql.api import Analyzer, CatalogBuilder, TableBuilder
from zetasql.types import AnalyzerOptions, LanguageOptions, TypeKind, ZetaSQLBuiltinFunctionOptions

EXTERNAL = 1  # the product mode: types as BigQuery has them


def main() -> None:
    """Analyze what standard input says."""
    given = json.load(sys.stdin)
    language = LanguageOptions.maximum_features()
    language.product_mode = EXTERNAL
    functions = ZetaSQLBuiltinFunctionOptions(language_options=language)
    catalog = CatalogBuilder("project").with_builtin_functions(functions)
    for name, columns in given["tables"].items():
        table = TableBuilder(name)
        for column, kind in columns.items():
            table.add_column(column, _kind(kind))
        catalog.add_table(table.build())
    analyzer = Analyzer(AnalyzerOptions(language_options=language), catalog.build())
    print(json.dumps({name: _analyzed(analyzer, text) for name, text in given["queries"].items()}))


def _kind(name: str) -> int:
    return getattr(TypeKind, "TYPE_" + {"FLOAT64": "DOUBLE"}.get(name, name))


def _analyzed(analyzer: Analyzer, text: str) -> dict[str, str] | str:
    try:
        columns = analyzer.analyze_statement(text).output_column_list
    except Exception as error:  # noqa: BLE001 - of whatever class: it is what is asked for
        return str(error)
    kinds = {each.name: TypeKind(each.column.type.type_kind).name for each in columns}
    return {
        name: kind.removeprefix("TYPE_").replace("DOUBLE", "FLOAT64")
        for name, kind in kinds.items()
    }


if __name__ == "__main__":
    main()
