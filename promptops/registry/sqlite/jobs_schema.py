"""The tables of work that a provider's batch service does, and of the jobs that it was submitted as.

Work is one command's: all passes of it, in whatever process, make the same runs. A job is one submission, and
a call of it is one request of a run. No text of a run is kept here.
"""

JOBS_SCHEMA = """
CREATE TABLE provider_work (
  work_id TEXT PRIMARY KEY,
  work_key TEXT NOT NULL,
  verb TEXT NOT NULL,
  prompt TEXT NOT NULL,
  seed TEXT NOT NULL,
  command TEXT NOT NULL,
  spent_before REAL NOT NULL,
  newest_run INTEGER NOT NULL,
  created_at TEXT NOT NULL,
  closed_at TEXT,
  finished_at TEXT,
  held_by TEXT,
  held_until TEXT
);
CREATE UNIQUE INDEX provider_work_open ON provider_work (work_key) WHERE finished_at IS NULL;
CREATE TABLE provider_jobs (
  job_id TEXT PRIMARY KEY,
  work_id TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  state TEXT NOT NULL
    CHECK (state IN ('submitting', 'pending', 'ended', 'expired', 'failed', 'cancelled')),
  provider_id TEXT,
  calls INTEGER NOT NULL,
  ceiling_usd REAL,
  spent_usd REAL,
  answered INTEGER,
  failed INTEGER,
  reason TEXT,
  created_at TEXT NOT NULL,
  expires_at TEXT,
  ended_at TEXT
);
CREATE INDEX provider_jobs_by_work ON provider_jobs (work_id, job_id);
CREATE TABLE provider_calls (
  job_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  PRIMARY KEY (job_id, run_id)
) WITHOUT ROWID;
"""
