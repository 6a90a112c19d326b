"""Log, counters, link states: what the gateway tells about itself."""
