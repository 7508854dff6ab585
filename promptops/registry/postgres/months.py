"""The texts of runs lie in one partition a month, so that a month that is kept no longer is dropped whole.

``runs`` itself is one table, in which a run id stands once. A month begins by the numbers of runs going on
from the next multiple of ``SPAN``: a number tells its partition, and who logs a run need not know of months.
"""

from promptops.registry.database import RegistryDatabase

SPAN = 2**32  # numbers of a month
_TABLES = ("run_texts", "run_search")
Month = tuple[int, int]

# No table refers to runs by a foreign key, as a cascade takes 40 us a run: ``PostgresSpace.delete_runs``
# deletes what belongs to them. ``run_texts`` is made by the script of all engines.
PARTITIONS = """
CREATE TABLE run_search (seq bigint PRIMARY KEY, grams tsvector NOT NULL) PARTITION BY RANGE (seq);
CREATE INDEX run_search_grams ON run_search USING gin (grams);
CREATE TABLE run_texts_0 PARTITION OF run_texts FOR VALUES FROM (MINVALUE) TO (4294967296);
CREATE TABLE run_search_0 PARTITION OF run_search FOR VALUES FROM (MINVALUE) TO (4294967296);
CREATE TABLE run_texts_other PARTITION OF run_texts DEFAULT;
CREATE TABLE run_search_other PARTITION OF run_search DEFAULT;

CREATE TABLE months (month text PRIMARY KEY, place bigint NOT NULL);
CREATE FUNCTION registry_begin_month() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  month text := to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM');
  began text;
  place bigint;
  part text;
BEGIN
  IF (SELECT max(months.month) FROM months) >= month THEN RETURN true; END IF;
  IF NOT pg_try_advisory_xact_lock('runs'::regclass::oid::int, 0) THEN RETURN false; END IF;
  SELECT max(months.month) INTO began FROM months;
  IF began >= month THEN RETURN true; END IF;
  place := (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM runs_seq_seq);
  IF began IS NOT NULL THEN
    place := greatest(place, (SELECT coalesce(max(seq), 0) FROM run_texts_other)) / 4294967296 + 1;
  END IF;
  INSERT INTO months VALUES (month, place);
  IF began IS NULL THEN RETURN true; END IF;
  FOREACH part IN ARRAY ARRAY['run_texts', 'run_search'] LOOP
    IF to_regclass(part || '_' || place) IS NULL THEN
      EXECUTE format('CREATE TABLE %I (LIKE %I)', part || '_' || place, part);
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
        part, part || '_' || place, place * 4294967296, (place + 1) * 4294967296);
    END IF;
  END LOOP;
  PERFORM setval('runs_seq_seq', place * 4294967296);
  RETURN true;
END
$$;
"""
_PARTS = """
SELECT CAST(substr(name, length('run_texts_') + 1) AS bigint) AS place
FROM (SELECT relid::text AS name FROM pg_partition_tree('run_texts')) AS parts
WHERE name ~ '^run_texts_[0-9]+$' ORDER BY 1
"""


def past_months(registry: RegistryDatabase) -> list[Month]:
    """The first and the last number of each month before the present one whose texts are there."""
    present = int(registry.read_one("SELECT last_value FROM runs_seq_seq")) // SPAN
    places = [int(row["place"]) for row in registry.read(_PARTS)]
    return [(place * SPAN, (place + 1) * SPAN - 1) for place in places if place < present]


def drop_month(registry: RegistryDatabase, month: Month) -> None:
    """Drop the texts of a month, unless it has runs."""
    with registry.write() as connection:
        there = connection.execute("SELECT EXISTS (SELECT 1 FROM runs WHERE seq BETWEEN ? AND ?)", month)
        if not there.fetchone()[0]:
            for table in _TABLES:
                connection.execute(f"DROP TABLE IF EXISTS {table}_{month[0] // SPAN}")
