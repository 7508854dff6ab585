"""The tables of monitoring and of alerts, and the kind of run that a probe is.

A monitor is all that is watched of one target (NAME:CHANNEL): its frozen references, how far it has got, and
the last run that it has read. An alarm is open until it is resolved or acknowledged. No text of a run is kept
here.
"""

import sqlite3

MONITORING_SCHEMA = """
CREATE TABLE monitors (
  target TEXT PRIMARY KEY,
  epoch TEXT NOT NULL,
  reference TEXT NOT NULL,
  progress TEXT NOT NULL,
  through INTEGER NOT NULL,
  updated_at TEXT NOT NULL
);
CREATE TABLE alarms (
  alarm INTEGER PRIMARY KEY,
  target TEXT NOT NULL,
  family TEXT NOT NULL,
  key TEXT NOT NULL UNIQUE,
  content TEXT NOT NULL,
  raised_at TEXT NOT NULL,
  ended_at TEXT,
  ended_by TEXT CHECK (ended_by IN ('resolved', 'acknowledged', 'replaced'))
);
CREATE INDEX alarms_open ON alarms (target, family) WHERE ended_at IS NULL;
"""
ALERTS_SCHEMA = """
CREATE TABLE alerts (
  alert INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  kind TEXT NOT NULL,
  content TEXT NOT NULL,
  opened_at TEXT NOT NULL,
  met_at TEXT NOT NULL,
  resolved_at TEXT
);
CREATE UNIQUE INDEX alerts_open ON alerts (key) WHERE resolved_at IS NULL;
CREATE INDEX alerts_by_key ON alerts (key, opened_at);
CREATE TABLE alert_deliveries (
  delivery INTEGER PRIMARY KEY,
  alert INTEGER NOT NULL,
  place TEXT NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('opened', 'changed', 'resolved')),
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at REAL NOT NULL DEFAULT 0,
  leased_until REAL NOT NULL DEFAULT 0,
  sent_at TEXT,
  reply TEXT
);
CREATE INDEX alert_deliveries_waiting ON alert_deliveries (place, delivery) WHERE sent_at IS NULL;
CREATE INDEX alert_deliveries_by_alert ON alert_deliveries (alert);
"""
_KINDS = "'shadow', 'judge')"
_KINDS_NOW = "'shadow', 'judge', 'probe')"


def allow_probes(connection: sqlite3.Connection) -> None:
    """Let ``runs.kind`` be ``probe``.

    A condition is no part of how rows are stored, so its text alone is changed, as SQLite's page on ALTER
    TABLE says (section 7): copying a million runs for it would take minutes.
    """
    version = int(connection.execute("PRAGMA schema_version").fetchone()[0])
    connection.execute("PRAGMA writable_schema = ON")
    try:
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE type = 'table' AND name = 'runs'",
            (_KINDS, _KINDS_NOW),
        )
        connection.execute(f"PRAGMA schema_version = {version + 1}")
    finally:
        connection.execute("PRAGMA writable_schema = OFF")
