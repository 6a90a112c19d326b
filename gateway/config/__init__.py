"""One YAML file in, `Settings` out, or all its errors at once."""

from gateway.config.load import load
from gateway.config.problems import ConfigErrors, Problem, render
from gateway.config.settings import Settings

__all__ = ["ConfigErrors", "Problem", "Settings", "load", "render"]
