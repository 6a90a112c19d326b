"""A gateway's life beside its daily work: backup and restore, its identity, decommissioning."""
