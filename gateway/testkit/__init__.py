"""Batteries, rigs and clocks for plugin authors; shipped, and used by our own tests."""
