"""Functions that SQLite has and PostgreSQL has not, or has for other types, made in the registry's schema."""

# A JSON text with the escape \\u0000 is none that PostgreSQL reads: what is looked up in it has U+FFFD there.
FUNCTIONS = r"""
CREATE FUNCTION registry_json(document text) RETURNS json LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE WHEN position('\u0000' IN document) = 0 THEN document::json
  ELSE regexp_replace(document, '((?<!\\)(?:\\\\)*)\\u0000', '\1\\ufffd', 'g')::json END
$$;
CREATE FUNCTION registry_json_path(path text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT string_to_array(replace(ltrim(replace(replace(path, '[', '.'), ']', ''), '$.'), '"', ''), '.')
$$;
CREATE FUNCTION registry_json_value(item json) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE json_typeof(item) WHEN 'null' THEN NULL WHEN 'boolean' THEN
    CASE WHEN item::text = 'true' THEN '1' ELSE '0' END
  ELSE item #>> '{}' END
$$;
CREATE FUNCTION json_extract(document text, path text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT registry_json_value(registry_json(document) #> registry_json_path(path))
$$;
CREATE FUNCTION json_each(document text) RETURNS TABLE (key text, value text)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT (place - 1)::text, registry_json_value(item)
  FROM json_array_elements(CASE WHEN json_typeof(registry_json(document)) = 'array'
    THEN registry_json(document) END) WITH ORDINALITY AS a (item, place)
  UNION ALL SELECT o.key, registry_json_value(o.value)
  FROM json_each(CASE WHEN json_typeof(registry_json(document)) = 'object'
    THEN registry_json(document) END) o
$$;
CREATE FUNCTION json_each(document text, path text) RETURNS TABLE (key text, value text)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT * FROM json_each((registry_json(document) #> registry_json_path(path))::text)
$$;
CREATE FUNCTION registry_number(double precision) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN $1 = trunc($1) AND abs($1) < 1e15 THEN $1::bigint || '.0' ELSE $1::text END
$$;
CREATE FUNCTION json_set(document text, path text, item json) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT jsonb_set(registry_json(document)::jsonb, registry_json_path(path), item::jsonb)::text
$$;
CREATE FUNCTION instr(text, text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT strpos($1, $2)::bigint
$$;
CREATE FUNCTION substr(text, bigint, bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT substr($1, $2::int, $3::int)
$$;
CREATE FUNCTION substr(text, bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT substr($1, $2::int)
$$;
CREATE FUNCTION iif(boolean, anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN $1 THEN $2 ELSE $3 END
$$;
CREATE FUNCTION max(anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT greatest($1, $2)
$$;
CREATE FUNCTION min(anycompatible, anycompatible) RETURNS anycompatible LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT least($1, $2)
$$;
CREATE FUNCTION registry_count_true(bigint, boolean) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN $2 IS NULL THEN $1 ELSE coalesce($1, 0) + $2::int END
$$;
CREATE AGGREGATE sum(boolean) (SFUNC = registry_count_true, STYPE = bigint);
CREATE FUNCTION registry_add(double precision, double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
  SELECT $1 + coalesce($2, 0)
$$;
CREATE AGGREGATE total(double precision) (SFUNC = registry_add, STYPE = double precision, INITCOND = 0);
CREATE FUNCTION registry_latencies(double precision[]) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT string_agg(float8send(value), ''::bytea ORDER BY value) FROM unnest($1) value
$$;
CREATE AGGREGATE latencies(double precision) (
  SFUNC = array_append, STYPE = double precision[], FINALFUNC = registry_latencies
);
CREATE FUNCTION registry_join(text, text, text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN $2 IS NULL THEN $1 WHEN $1 IS NULL THEN $2 ELSE $1 || $3 || $2 END
$$;
CREATE AGGREGATE group_concat(text, text) (SFUNC = registry_join, STYPE = text);
CREATE FUNCTION registry_like_glob(text, text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT $1 ~ ('^' || replace(replace(
    regexp_replace($2, '([.+(){}|^$\\])', '\\\1', 'g'), '*', '.*'), '?', '.') || '$')
$$;
CREATE OPERATOR =~~ (FUNCTION = registry_like_glob, LEFTARG = text, RIGHTARG = text);
"""

# ``registry_begin`` is the first statement of each transaction that writes. It takes the lock that keeps
# others from writing (shared with those who add runs too), and then, before a number is drawn, marks the
# numbers that are given out already: ``registry_settled`` reads no further than the lowest such mark. It
# gives the number of the transaction, by which is asked how it ended; NULL where others write and it does not
# wait.
LOCKS = r"""
CREATE FUNCTION registry_begin(alone boolean, waits boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  here int := 'runs'::regclass::oid::int;
  had boolean := true;
BEGIN
  IF waits AND alone THEN PERFORM pg_advisory_xact_lock(here, 0);
  ELSIF waits THEN PERFORM pg_advisory_xact_lock_shared(here, 0);
  ELSIF alone THEN had := pg_try_advisory_xact_lock(here, 0);
  ELSE had := pg_try_advisory_xact_lock_shared(here, 0);
  END IF;
  IF had THEN
    PERFORM registry_mark('runs_seq_seq',
      (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM runs_seq_seq));
    PERFORM registry_mark('outcomes_id_seq',
      (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outcomes_id_seq));
  END IF;
  RETURN CASE WHEN had THEN pg_current_xact_id()::text END;
END
$$;
CREATE FUNCTION registry_mark(numbers regclass, given bigint) RETURNS void LANGUAGE sql AS $$
  SELECT pg_advisory_xact_lock_shared(numbers::oid::int, (given % 2147483648)::int)
$$;
CREATE FUNCTION registry_lowest_mark(numbers regclass, last bigint) RETURNS bigint LANGUAGE sql AS $$
  SELECT min(last + (objid::bigint - last % 2147483648 + 3221225472) % 2147483648 - 1073741824) FROM pg_locks
  WHERE locktype = 'advisory' AND objsubid = 2 AND classid = numbers::oid AND pid <> pg_backend_pid()
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
$$;
CREATE FUNCTION registry_settled(OUT seq bigint, OUT outcome bigint) LANGUAGE plpgsql AS $$
BEGIN
  SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO seq FROM runs_seq_seq;
  SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO outcome FROM outcomes_id_seq;
  seq := least(seq, registry_lowest_mark('runs_seq_seq', seq));
  outcome := least(outcome, registry_lowest_mark('outcomes_id_seq', outcome));
END
$$;
"""
