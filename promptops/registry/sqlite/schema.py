"""The first schema, with everything the design knows already, and what the steps in migrations.py add to it.

Big texts live in ``run_texts``, so that counting and listing never read past them, and the index
``runs_by_prompt`` holds all that statistics need: one prompt's figures are read from consecutive pages.
"""

_RUNS = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('unit_key', lower(hex(randomblob(32))));

CREATE TABLE versions (
  prompt TEXT NOT NULL,
  digest TEXT NOT NULL,
  source TEXT NOT NULL,
  commit_sha TEXT,
  path TEXT,
  first_seen_at TEXT NOT NULL,
  PRIMARY KEY (prompt, digest)
);

CREATE TABLE runs (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id TEXT NOT NULL UNIQUE,
  writer_id TEXT NOT NULL,
  writer_counter INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('run', 'batch', 'eval', 'shadow', 'judge')),
  state TEXT NOT NULL CHECK (state IN ('started', 'finished', 'failed', 'interrupted')),
  started_at TEXT NOT NULL,
  finished_at TEXT,
  reference TEXT NOT NULL,
  prompt TEXT NOT NULL,
  digest TEXT NOT NULL,
  source TEXT NOT NULL,
  commit_sha TEXT,
  dirty INTEGER NOT NULL,
  version TEXT,
  channel TEXT,
  rollout TEXT,
  arm TEXT CHECK (arm IN ('stable', 'canary', 'control', 'candidate')),
  weight_bp INTEGER,
  unit_hash TEXT,
  unit_key_id TEXT,
  excluded TEXT,
  case_id TEXT,
  trial INTEGER NOT NULL,
  shadow_of TEXT,
  batch_id TEXT,
  batch_line INTEGER,
  eval_id TEXT,
  request_model TEXT NOT NULL,
  response_model TEXT,
  response_id TEXT,
  finish_reason TEXT,
  messages_hash TEXT NOT NULL,
  inputs_hash TEXT,
  output_hash TEXT,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cached_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost_usd REAL,
  cost_list_usd REAL,
  spent_usd REAL,
  latency_ms REAL,
  first_token_ms REAL,
  cache_key TEXT,
  cache_source TEXT,
  cache_stale INTEGER NOT NULL DEFAULT 0,
  error_type TEXT,
  error_message TEXT,
  retryable INTEGER,
  checks_failed INTEGER,
  imported_at TEXT
);
CREATE INDEX runs_by_prompt ON runs (
  prompt, seq, kind, state, started_at, digest, version, request_model, channel, input_tokens, output_tokens,
  cost_usd, spent_usd, latency_ms, cache_source, error_type, checks_failed
);
CREATE INDEX runs_by_cache_key ON runs (cache_key)
  WHERE cache_key IS NOT NULL AND state = 'finished' AND cache_stale = 0 AND cache_source IS NULL;
CREATE INDEX runs_by_rollout ON runs (rollout, seq) WHERE rollout IS NOT NULL;
CREATE INDEX runs_by_batch ON runs (batch_id, batch_line) WHERE batch_id IS NOT NULL;
CREATE INDEX runs_by_eval ON runs (eval_id) WHERE eval_id IS NOT NULL;
CREATE INDEX runs_by_shadow ON runs (shadow_of) WHERE shadow_of IS NOT NULL;

CREATE TABLE run_texts (
  seq INTEGER PRIMARY KEY REFERENCES runs (seq) ON DELETE CASCADE,
  parameters TEXT NOT NULL,
  overrides TEXT NOT NULL,
  metadata TEXT NOT NULL,
  inputs TEXT,
  output TEXT,
  tool_calls TEXT,
  attempts TEXT
);
CREATE TABLE run_tags (
  tag TEXT NOT NULL,
  seq INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
  PRIMARY KEY (tag, seq)
) WITHOUT ROWID;
CREATE INDEX run_tags_by_run ON run_tags (seq);

CREATE TABLE outcomes (
  id INTEGER PRIMARY KEY,
  run_seq INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
  source TEXT NOT NULL CHECK (source IN ('check', 'judge', 'person')),
  name TEXT NOT NULL,
  passed INTEGER,
  value REAL,
  text TEXT NOT NULL DEFAULT '',
  occurred_at TEXT NOT NULL,
  recorded_at TEXT NOT NULL
);
CREATE INDEX outcomes_by_run ON outcomes (run_seq);
CREATE INDEX outcomes_of_people ON outcomes (name, run_seq, value) WHERE source = 'person';
"""

_EVIDENCE = """
CREATE TABLE evals (
  eval_id TEXT PRIMARY KEY,
  prompt TEXT NOT NULL,
  digest TEXT NOT NULL,
  against TEXT,
  cases_hash TEXT NOT NULL,
  trials INTEGER NOT NULL,
  counts TEXT NOT NULL,
  verdicts TEXT NOT NULL,
  started_at TEXT NOT NULL,
  finished_at TEXT
);
CREATE INDEX evals_by_version ON evals (prompt, digest, finished_at);

CREATE TABLE observations (
  rollout TEXT NOT NULL,
  metric TEXT NOT NULL,
  seq INTEGER NOT NULL,
  arm TEXT NOT NULL,
  weight_bp INTEGER NOT NULL,
  loss REAL,
  late INTEGER NOT NULL DEFAULT 0,
  recorded_at TEXT NOT NULL,
  PRIMARY KEY (rollout, metric, seq)
) WITHOUT ROWID;

CREATE TABLE eprocesses (
  rollout TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  watermark INTEGER NOT NULL,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (rollout, name)
) WITHOUT ROWID;

CREATE TABLE batches (
  batch_id TEXT PRIMARY KEY,
  file_hash TEXT NOT NULL,
  prompt TEXT NOT NULL,
  digest TEXT NOT NULL,
  reference TEXT NOT NULL,
  options TEXT NOT NULL,
  line_count INTEGER,
  started_at TEXT NOT NULL,
  finished_at TEXT
);

CREATE TABLE jobs (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  run_id TEXT,
  payload TEXT NOT NULL,
  created_at TEXT NOT NULL,
  leased_until TEXT,
  leased_by TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  done_at TEXT,
  error_message TEXT
);
CREATE INDEX jobs_waiting ON jobs (kind, id) WHERE done_at IS NULL;
"""

# Full-text search reads values, not JSON: keys and escapes such as \n would glue words together.
# The words of a started run are in neither list: it is indexed once, when it has ended.
_READING = """
CREATE TABLE search_waiting (seq INTEGER PRIMARY KEY);
CREATE VIEW search_texts AS
SELECT
  seq,
  CASE WHEN json_valid(inputs) THEN (
    SELECT group_concat(atom, char(10)) FROM json_tree(run_texts.inputs)
    WHERE type = 'text' AND atom NOT LIKE 'data:%' OR type IN ('integer', 'real')
  ) ELSE inputs END AS inputs,
  output
FROM run_texts;

CREATE VIEW run_log AS
SELECT
  r.started_at,
  r.prompt,
  coalesce(r.version, substr(r.commit_sha, 1, 7) || CASE WHEN r.dirty THEN ' + edits' ELSE '' END,
    'sha256:' || substr(r.digest, 1, 12)) AS version,
  r.channel,
  r.arm,
  coalesce(r.response_model, r.request_model) AS model,
  t.inputs,
  t.output,
  CASE WHEN r.checks_failed > 0 THEN (
    SELECT group_concat(o.name, ', ') FROM outcomes o
    WHERE o.run_seq = r.seq AND o.source = 'check' AND o.passed IS NOT 1
  ) END AS checks_failed,
  (
    SELECT group_concat(
      o.name || ' ' || coalesce(o.value, '') || CASE WHEN o.text <> '' THEN ': ' || o.text ELSE '' END, '; '
    )
    FROM outcomes o WHERE o.run_seq = r.seq AND o.source = 'person'
  ) AS feedback,
  r.cost_usd,
  round(r.latency_ms) AS latency_ms,
  r.kind,
  r.state,
  r.error_type,
  r.run_id
FROM runs r JOIN run_texts t ON t.seq = r.seq
ORDER BY r.seq DESC;
"""

HISTORY_INDEX_DDL = """
CREATE TABLE history_index (
  line INTEGER PRIMARY KEY,
  repository TEXT NOT NULL,
  prefix TEXT NOT NULL,
  branch TEXT NOT NULL,
  made_by TEXT NOT NULL,
  tip TEXT NOT NULL,
  commits INTEGER NOT NULL,
  UNIQUE (repository, prefix, branch)
);
CREATE TABLE history_commits (
  line INTEGER NOT NULL,
  position INTEGER NOT NULL,
  commit_sha TEXT NOT NULL,
  authored_at TEXT NOT NULL,
  author TEXT NOT NULL,
  subject TEXT NOT NULL,
  PRIMARY KEY (line, position)
) WITHOUT ROWID;
CREATE TABLE history_changes (
  line INTEGER NOT NULL,
  position INTEGER NOT NULL,
  path TEXT NOT NULL,
  old_oid TEXT,
  new_oid TEXT,
  PRIMARY KEY (line, position, path)
) WITHOUT ROWID;
CREATE TABLE history_prompts (
  line INTEGER NOT NULL,
  prompt TEXT NOT NULL,
  commits INTEGER NOT NULL,
  follows TEXT NOT NULL,
  note TEXT NOT NULL,
  PRIMARY KEY (line, prompt)
) WITHOUT ROWID;
CREATE TABLE history_versions (
  line INTEGER NOT NULL,
  prompt TEXT NOT NULL,
  position INTEGER NOT NULL,
  path TEXT NOT NULL,
  digest TEXT,
  change TEXT NOT NULL,
  problem TEXT NOT NULL,
  commit_sha TEXT NOT NULL,
  authored_at TEXT NOT NULL,
  author TEXT NOT NULL,
  subject TEXT NOT NULL,
  PRIMARY KEY (line, prompt, position)
) WITHOUT ROWID;
"""

FIRST_SCHEMA = _RUNS + _EVIDENCE + _READING + HISTORY_INDEX_DDL

# What was redacted, as counts by kind. The rules of a prompt file are no part of the digest: a version has
# the latest that it ran with.
REDACTION_SCHEMA = """
ALTER TABLE runs ADD COLUMN redacted_inputs TEXT;
ALTER TABLE runs ADD COLUMN redacted_outputs TEXT;
ALTER TABLE versions ADD COLUMN log TEXT;
CREATE INDEX versions_with_rules ON versions (log) WHERE log IS NOT NULL;
"""

# Keys of the gateway, by the hash of their secret, and which runs each has paid for.
KEYS_SCHEMA = """
ALTER TABLE runs ADD COLUMN tenant TEXT;
ALTER TABLE runs ADD COLUMN api_key TEXT;
CREATE INDEX runs_by_tenant ON runs (tenant, seq) WHERE tenant IS NOT NULL;
CREATE INDEX runs_by_api_key ON runs (api_key, started_at, spent_usd) WHERE api_key IS NOT NULL;
CREATE TABLE api_keys (
  key_id TEXT PRIMARY KEY,
  secret_hash TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL,
  limits TEXT NOT NULL,
  created_at TEXT NOT NULL,
  revoked_at TEXT
) WITHOUT ROWID;
"""

# A registry has an id, so that evidence can say what it was read from. ``imports`` are the stretches of other
# registries' runs that have arrived here, so that a lost file shows.
RELEASES_SCHEMA = """
INSERT INTO meta VALUES ('registry_id', lower(hex(randomblob(8))));
ALTER TABLE runs ADD COLUMN fallback TEXT;
CREATE INDEX runs_by_unit ON runs (rollout, unit_hash, seq) WHERE rollout IS NOT NULL;
CREATE TABLE breakers (
  rollout TEXT PRIMARY KEY,
  reason TEXT NOT NULL,
  opened_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE imports (
  registry_id TEXT NOT NULL,
  since_seq INTEGER NOT NULL,
  through_seq INTEGER NOT NULL,
  imported_at TEXT NOT NULL,
  PRIMARY KEY (registry_id, since_seq, through_seq)
) WITHOUT ROWID;
"""

# What guards did with a run: ``decisions`` is a JSON list of [guard, side, did, error, ms, usd] in the order
# in which they looked, ``reasons`` one of their words, which may quote texts; empty where there are none.
GUARDS_SCHEMA = """
CREATE TABLE guarded_runs (
  run_seq INTEGER PRIMARY KEY REFERENCES runs (seq) ON DELETE CASCADE,
  decisions TEXT NOT NULL,
  reasons TEXT NOT NULL DEFAULT ''
);
"""

# Sums by day, made from the runs by daily_stats.py: where the runs of a day begin and end, and whether they
# must be summed up again. A cell holds the runs of a day that have prompt, version, channel, model and kind
# in common.
DAILY_STATS_SCHEMA = """
CREATE TABLE stats_days (
  prompt TEXT NOT NULL,
  day TEXT NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  stale INTEGER NOT NULL,
  PRIMARY KEY (prompt, day)
) WITHOUT ROWID;
CREATE INDEX stats_days_stale ON stats_days (prompt, day) WHERE stale;
CREATE TABLE stats_waiting (seq INTEGER PRIMARY KEY);
CREATE TABLE stats_cells (
  cell INTEGER PRIMARY KEY,
  prompt TEXT NOT NULL,
  day TEXT NOT NULL,
  digest TEXT NOT NULL,
  version TEXT,
  channel TEXT,
  model TEXT NOT NULL,
  kind TEXT NOT NULL,
  calls INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  unfinished INTEGER NOT NULL,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cost_usd REAL,
  spent_usd REAL,
  unpriced INTEGER NOT NULL,
  cache_hits INTEGER NOT NULL,
  checked INTEGER NOT NULL,
  checks_failed INTEGER NOT NULL,
  last_run_at TEXT NOT NULL,
  latencies BLOB
);
CREATE INDEX stats_cells_by_day ON stats_cells (prompt, day);
CREATE TABLE stats_outcomes (
  cell INTEGER NOT NULL,
  source TEXT NOT NULL,
  name TEXT NOT NULL,
  counted INTEGER NOT NULL,
  good INTEGER NOT NULL,
  PRIMARY KEY (cell, source, name)
) WITHOUT ROWID;
"""
