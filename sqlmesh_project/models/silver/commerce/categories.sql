MODEL (
  name silver_commerce.categories,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Product categories, conformed.',
  grain category,
  audits (
    not_null(columns := (category, category_en, department)),
    unique_values(columns := (
      category
    ))
  )
);

WITH categories AS (
  SELECT
    *
  FROM bronze_commerce.categories
), conformed AS (
  SELECT
    LOWER(@TIDY(category)) AS category,
    LOWER(@TIDY(category_en)) AS category_en,
    @TIDY(department) AS department
  FROM categories
)
SELECT
  category::TEXT AS category, /* The category, as products name it */
  COALESCE(category_en, category)::TEXT AS category_en, /* The category, in English */
  COALESCE(department, 'uncategorised')::TEXT AS department /* Department that the category belongs to */
FROM conformed
