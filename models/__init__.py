"""Detectors shipped with Lineside, one folder each; each is found by its entry point."""
