"""The way back: verdicts of the service team become labels, and move thresholds within their bounds."""
