AUDIT (
  name every_row_is_kept
);

/* Bronze equals Silver plus quarantine, row for row: nothing is lost or doubled on the way. */
WITH sides AS (
  SELECT
    (
      SELECT
        COUNT(*)
      FROM @this_model
    ) AS quarantined,
    (
      SELECT
        COUNT(*)
      FROM @accepted
    ) AS accepted,
    (
      SELECT
        COUNT(*)
      FROM @landed
    ) AS landed
)
SELECT
  *
FROM sides
WHERE
  quarantined + accepted <> landed;

AUDIT (
  name refers_to
);

/* Every value of the column exists in the other table. */
SELECT
  *
FROM @this_model
WHERE
  NOT @column IS NULL AND NOT @column IN (
    SELECT
      @key
    FROM @target
  );

AUDIT (
  name same_total
);

/* Two layers agree to the last cent: a total of this table and one of its source are equal. */
WITH mine AS (
  SELECT
    COALESCE(@mine, 0) AS total
  FROM @this_model
), theirs AS (
  SELECT
    COALESCE(@theirs, 0) AS total
  FROM @source
)
SELECT
  mine.total AS mine,
  theirs.total AS theirs
FROM mine
CROSS JOIN theirs
WHERE
  mine.total <> theirs.total
