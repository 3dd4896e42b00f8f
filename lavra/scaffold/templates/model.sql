MODEL (
  name {{ model.name }},
  kind FULL,
  description {{ model.description | literal }},
  grain {{ "(" ~ model.grain | join(", ") ~ ")" if model.grain | length > 1 else model.grain[0] }}
{%- if model.audits %},
  audits (
    {{ model.audits | join(",\n    ") }}
  )
{%- endif %}
);

WITH
{%- for part in model.inputs %} {{ part.name }} AS (
  SELECT
    {{ part.columns | join(",\n    ") }}
  FROM {{ part.source }}
){{ "," if not loop.last }}
{%- endfor %}
SELECT
{%- for column in model.columns %}
  {{ column.expression }}::{{ column.type }} AS {{ column.name }}{{ "," if not loop.last }} /* {{ column.comment | comment }} */
{%- endfor %}
FROM {{ model.inputs[0].name }}
{%- for join in model.joins %}
LEFT JOIN {{ join.name }} ON {{ join.condition }}
{%- endfor %}
{%- if model.where %}
WHERE {{ model.where }}
{%- endif %}
{%- if model.group_by %}
GROUP BY {{ model.group_by | join(", ") }}
{%- endif %}
