"""The tables of review.

``probability`` is that with which an item was drawn from the population of its queue; NULL where the queue
says nothing about a population. ``drawn`` is 0 for an item that was chosen for a reason. An item with
``repeat_of`` shows a run again to the reviewer who labelled it then; its label is no outcome.
"""

REVIEW_SCHEMA = """
CREATE TABLE review_rubrics (
  digest TEXT PRIMARY KEY,
  prompt TEXT NOT NULL,
  content TEXT NOT NULL,
  first_used_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE review_queues (
  queue INTEGER PRIMARY KEY AUTOINCREMENT,
  prompt TEXT NOT NULL,
  channel TEXT,
  selection TEXT NOT NULL,
  rubric TEXT NOT NULL,
  created_at TEXT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE INDEX review_queues_by_prompt ON review_queues (prompt, queue);
CREATE TABLE review_items (
  item INTEGER PRIMARY KEY,
  queue INTEGER NOT NULL REFERENCES review_queues (queue) ON DELETE CASCADE,
  position REAL NOT NULL,
  run_seq INTEGER NOT NULL REFERENCES runs (seq) ON DELETE CASCADE,
  probability REAL,
  drawn INTEGER NOT NULL,
  repeat_of INTEGER,
  reviewer TEXT,
  leased_by TEXT,
  leased_until TEXT,
  deferred_by TEXT,
  label INTEGER
);
CREATE INDEX review_items_by_queue ON review_items (queue, label, position);
CREATE INDEX review_items_by_run ON review_items (run_seq);
CREATE TABLE review_labels (
  label INTEGER PRIMARY KEY,
  item INTEGER NOT NULL REFERENCES review_items (item) ON DELETE CASCADE,
  passed INTEGER NOT NULL,
  note TEXT NOT NULL,
  answer TEXT NOT NULL,
  reviewer TEXT NOT NULL,
  rubric TEXT NOT NULL,
  labelled_at TEXT NOT NULL
);
CREATE INDEX review_labels_by_item ON review_labels (item);
CREATE TABLE review_codes (
  label INTEGER NOT NULL REFERENCES review_labels (label) ON DELETE CASCADE,
  code TEXT NOT NULL,
  PRIMARY KEY (label, code)
) WITHOUT ROWID;
"""

# Answers that nobody gets before a person has decided: ``decision`` is released or rejected, NULL while it
# waits; ``answer`` is a better one that was released in its place.
HELD_SCHEMA = """
CREATE TABLE held_runs (
  run_seq INTEGER PRIMARY KEY REFERENCES runs (seq) ON DELETE CASCADE,
  decision TEXT CHECK (decision IN ('released', 'rejected')),
  answer TEXT NOT NULL DEFAULT '',
  decided_by TEXT,
  decided_at TEXT
);
CREATE INDEX held_runs_waiting ON held_runs (run_seq) WHERE decision IS NULL;
"""
