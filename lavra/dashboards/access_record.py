"""The access log as dashboards and access rules see it: ``lavra.access_log`` with its metrics."""

from __future__ import annotations

from lavra.access import record
from lavra.dashboards.gold import Column, Gold, GoldTable, Metric

_METRICS = (
    Metric(
        name="entry_count",
        expression="count(*)",
        title={"en": "Entries", "pt_BR": "Registros"},
        format=",d",
    ),
    Metric(
        name="query_count",
        expression="count(case when event = 'query' then 1 end)",
        title={"en": "Queries", "pt_BR": "Consultas"},
        format=",d",
    ),
    Metric(
        name="refused_count",
        expression="count(case when outcome = 'refused' then 1 end)",
        title={"en": "Refused", "pt_BR": "Recusadas"},
        description={
            "en": "Queries refused, and requests that proved nobody.",
            "pt_BR": "Consultas recusadas e pedidos que não provaram quem eram.",
        },
        format=",d",
    ),
    Metric(
        name="failed_count",
        expression="count(case when outcome = 'failed' then 1 end)",
        title={"en": "Failed", "pt_BR": "Com falha"},
        format=",d",
    ),
    Metric(
        name="caller_count",
        expression="count(distinct kind || ':' || caller)",
        title={"en": "Callers", "pt_BR": "Quem consultou"},
        format=",d",
    ),
    Metric(
        name="rows_out",
        expression="coalesce(sum(row_count), 0)",
        title={"en": "Rows out", "pt_BR": "Linhas entregues"},
        format=",d",
    ),
    Metric(
        name="bytes_out",
        expression="coalesce(sum(bytes), 0)",
        title={"en": "Bytes out", "pt_BR": "Bytes entregues"},
        format=".3s",
    ),
    Metric(
        name="slowest_ms",
        expression="max(duration_ms)",
        title={"en": "Slowest (ms)", "pt_BR": "Mais lenta (ms)"},
        format=",.1f",
    ),
    Metric(
        name="cached_share",
        expression="avg(case when event = 'query' and cached then 1.0 "
        "when event = 'query' then 0.0 end)",
        title={"en": "From the cache", "pt_BR": "Do cache"},
        format=".1%",
    ),
)
_TITLES = {
    "at": {"en": "Time (UTC)", "pt_BR": "Hora (UTC)"},
    "event": {"en": "Event", "pt_BR": "Evento"},
    "outcome": {"en": "Outcome", "pt_BR": "Resultado"},
    "code": {"en": "Error", "pt_BR": "Erro"},
    "caller": {"en": "Who", "pt_BR": "Quem"},
    "kind": {"en": "Proven by", "pt_BR": "Prova"},
    "client": {"en": "From", "pt_BR": "De onde"},
    "route": {"en": "Route", "pt_BR": "Rota"},
    "environment": {"en": "Environment", "pt_BR": "Ambiente"},
    "tables": {"en": "Tables", "pt_BR": "Tabelas"},
    "row_count": {"en": "Rows", "pt_BR": "Linhas"},
    "duration_ms": {"en": "ms", "pt_BR": "ms"},
    "sql": {"en": "Statement", "pt_BR": "Comando"},
}


def record_table() -> GoldTable:
    """Return ``lavra.access_log`` with the metrics that dashboards show of it."""
    return GoldTable(
        record.SCHEMA,
        record.TABLE,
        {one.name: Column(one.name, one.type, one.description) for one in record.COLUMNS},
        record.DESCRIPTION,
        record.TIME_COLUMN,
        {metric.name: metric for metric in _METRICS},
        dict(_TITLES),
    )


def with_record(gold: Gold) -> Gold:
    """Return the tables and the access log beside them."""
    return Gold([*gold.tables.values(), record_table()])
