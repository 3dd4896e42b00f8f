MODEL (
  name bronze_commerce.categories,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Product categories of the catalogue, as last landed.',
  grain category,
  audits (not_null(columns := (
      category
    )), unique_values(columns := (
      category
  )))
);

WITH landed AS (
  SELECT
    *
  FROM @BRONZE(catalogue, categories, category::TEXT, category_en::TEXT, department::TEXT)
), ranked AS (
  SELECT
    *,
    @RECENCY(category) AS recency
  FROM landed
)
SELECT
  category::TEXT AS category, /* The category, in Portuguese */
  category_en::TEXT AS category_en, /* The category, in English */
  department::TEXT AS department /* Department that the category belongs to */
FROM ranked
WHERE
  recency = 1
