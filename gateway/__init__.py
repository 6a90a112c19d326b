"""Lineside: the software of an edge gateway beside a production line."""

__version__ = "0.1.0"
