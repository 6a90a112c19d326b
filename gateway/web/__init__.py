"""The local page, the API behind it, /metrics and /healthz: read-only, one origin, nothing from elsewhere."""

from gateway.web.server import PageServer
from gateway.web.view import View

__all__ = ["PageServer", "View"]
