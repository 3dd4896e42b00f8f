"""What of SQLAlchemy's dialect suite does not apply to the service, and why."""

from sqlalchemy.testing.exclusions import open, skip_if
from sqlalchemy.testing.requirements import SuiteRequirements

# Each reason, and the groups of the suite that it keeps out.
REASONS = {
    "the service only reads: it has no transactions, and reports no written rows": [
        "autocommit", "savepoints", "two_phase_transactions", "isolation_level", "sane_rowcount",
        "sane_multi_rowcount", "sane_rowcount_w_returning", "rowcount", "empty_inserts",
        "autoincrement_insert", "insert_returning", "update_returning", "delete_returning",
        "insert_from_select", "implements_get_lastrowid", "emulated_lastrowid",
        "duplicate_key_raises_integrity_error", "update_where_target_in_subquery",
        "ctes_with_update_delete", "ctes_on_dml", "fetch_rows_post_commit",
        "skip_autocommit_rollback", "get_isolation_level_values", "dbapi_lastrowid",
        "delete_from", "update_from", "emulated_lastrowid_even_with_sequences", "returning",
        "insert_executemany_returning", "create_or_replace_view", "create_table_as",
        "create_temp_table_as",
    ],
    "DuckLake has no foreign keys, unique constraints, checks or indexes to reflect": [
        "foreign_keys", "self_referential_foreign_keys", "check_constraint_reflection",
        "foreign_key_constraint_reflection", "unique_constraint_reflection", "index_reflection",
        "inline_check_constraint_reflection", "cross_schema_fk_reflection", "indexes_with_ascdesc",
        "reflect_indexes_with_ascdesc", "named_constraints", "implicitly_named_constraints",
        "table_ddl_if_exists", "index_ddl_if_exists", "constraint_comment_reflection",
        "deferrable_fks", "foreign_key_constraint_name_reflection", "non_updating_cascade",
        "fk_constraint_option_reflection_ondelete_noaction", "foreign_keys_reflect_as_index",
        "fk_constraint_option_reflection_ondelete_restrict", "indexes_with_expressions",
        "fk_constraint_option_reflection_onupdate_restrict", "index_reflects_included_columns",
        "foreign_key_constraint_option_reflection_ondelete", "indexes_check_column_order",
        "foreign_key_constraint_option_reflection_onupdate", "reflects_pk_names",
        "reflect_indexes_with_ascdesc_as_expression", "reflect_indexes_with_expressions",
        "repeated_column_foreign_keys", "repeated_remote_col_foreign_keys",
        "unique_constraints_reflect_as_index", "unique_index_reflect_as_unique_constraints",
    ],
    "a release holds tables; it has no views, temporary tables or sequences of a user's": [
        "views", "view_column_reflection", "view_reflection", "temp_table_reflection",
        "temp_table_names", "has_temp_table", "temporary_tables", "temporary_views", "sequences",
        "materialized_views", "materialized_views_reflect_pk", "temp_table_comment_reflection",
    ],
    "a release holds the schemas of Gold alone; the suite's own second schema is none of them": [
        "schemas", "schema_reflection", "schema_create_delete", "implicit_default_schema",
        "default_schema_name_switch",
    ],
    "DuckLake has no computed, identity or collated columns, and none without a column": [
        "server_defaults", "expression_server_defaults", "identity_columns", "computed_columns",
        "computed_columns_default_persisted", "computed_columns_reflect_persisted",
        "computed_columns_stored", "computed_columns_virtual", "identity_columns_standard",
        "column_collation_reflection", "reflect_tables_no_columns", "reflect_table_options",
    ],
    "values are Arrow's: it has no JSON, UUID or national text type, and lists are read only": [
        "json_type", "array_type", "uuid_data_type", "json_deserializer_binary", "nvarchar_types",
        "legacy_unconditional_json_extract",
    ],
    "timestamps are naive and UTC": [
        "datetime_timezone", "time_timezone", "datetime_timezone_historic",
    ],
    "DataFusion refuses two columns of one name": ["duplicate_names_in_cursor_description"],
    "DataFusion has no such syntax": [
        "fetch_percent", "fetch_ties", "fetch_offset_with_options", "order_by_collation",
        "supports_bitwise_not",
    ],
    "SQLAlchemy writes DISTINCT ON for PostgreSQL alone": ["supports_distinct_on"],
    "the driver has no asynchronous form": ["async_dialect"],
    "SQLAlchemy's FLOAT(n) is single precision below 25 bits, as in standard SQL": [
        "float_or_double_precision_behaves_generically",
    ],
}  # fmt: skip
APPLIES = [
    "ctes", "ctes_with_values", "window_functions", "window_range", "window_range_numeric",
    "intersect", "except_", "nullsordering", "boolean_col_expressions", "regexp_match",
    "comment_reflection", "comment_reflection_full_unicode", "datetime_historic", "date_historic",
    "datetime_literals", "datetime_interval", "timestamp_microseconds", "aggregate_order_by",
    "precision_numerics_enotation_small", "precision_numerics_retains_significant_digits",
    "supports_is_distinct_from", "supports_bitwise_or", "supports_bitwise_and",
    "supports_bitwise_xor", "supports_bitwise_shift", "primary_key_constraint_reflection",
    "unicode_ddl", "mod_operator_as_percent_sign", "order_by_label_with_expression",
    "infinity_floats", "foreign_key_ddl", "fetch_first", "fetch_no_order_by", "fetch_expression",
    "tuple_in", "tuple_in_w_empty", "table_value_constructor", "regexp_replace",
    "cast_precision_numerics_many_significant_digits", "standalone_binds", "percent_schema_names",
    "precision_numerics_enotation_large", "precision_numerics_many_significant_digits",
    "window_range_non_numeric",
]  # fmt: skip


def _skipped(reason):
    return property(lambda self: skip_if(lambda: True, reason))


class Requirements(SuiteRequirements):
    """The groups of the suite: closed with a reason, or open."""

    def get_isolation_levels(self, config):
        return {"default": "AUTOCOMMIT", "supported": ["AUTOCOMMIT"]}


for _reason, _groups in REASONS.items():
    for _group in _groups:
        setattr(Requirements, _group, _skipped(_reason))
for _group in APPLIES:
    setattr(Requirements, _group, property(lambda self: open()))
