"""What `http` and `files` share: rows of CSV, NDJSON and JSON, and how they become readings and records. Pure; no plugin."""
