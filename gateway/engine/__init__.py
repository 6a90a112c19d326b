"""From readings to findings: queue, stages, alignment, dispatch, snapshots."""
