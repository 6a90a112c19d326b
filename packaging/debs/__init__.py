"""Builds the Debian packages of this checkout, and the bundles for plants without a network: `python -m debs`."""
