AUDIT (
  name at_least
);

/* No value is below the minimum. */
SELECT
  *
FROM @this_model
WHERE
  @column < @minimum;

AUDIT (
  name is_email
);

/* Every value is an electronic mail address in lower case, or NULL. */
SELECT
  *
FROM @this_model
WHERE
  NOT @column LIKE '%_@_%._%' OR @column LIKE '% %' OR @column <> LOWER(@column);

AUDIT (
  name is_state
);

/* Every value is a Brazilian state, two capital letters, or NULL. */
SELECT
  *
FROM @this_model
WHERE
  NOT REGEXP_MATCHES(
    @column,
    '^(AC|AL|AM|AP|BA|CE|DF|ES|GO|MA|MG|MS|MT|PA|PB|PE|PI|PR|RJ|RN|RO|RR|RS|SC|SE|SP|TO)$'
  );

AUDIT (
  name first_month_is_whole
);

/* In its first month, all of a cohort is active, and no later month has more. */
SELECT
  *
FROM @this_model
WHERE
  active_customers > cohort_size
  OR (
    month_number = 0 AND active_customers <> cohort_size
  );

AUDIT (
  name ends_where_the_next_begins
);

/* Of one key, no two states overlap, and at most one is current. */
WITH followed AS (
  SELECT
    valid_to,
    is_current,
    LEAD(valid_from) OVER (PARTITION BY @key ORDER BY valid_from) AS next_from
  FROM @this_model
)
SELECT
  *
FROM followed
WHERE
  NOT next_from IS NULL AND (
    is_current OR valid_to > next_from
  )
