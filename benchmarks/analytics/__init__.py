"""How well the detectors find what they should, and how often they cry wolf, on public recordings."""
