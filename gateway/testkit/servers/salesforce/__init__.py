"""An emulator of Salesforce's REST API, for tests and the demo: as much of it as a gateway meets, and its faults.

It is held to what the exported metadata say, and proved with clients that others wrote.
"""

from __future__ import annotations

from gateway.testkit.servers.salesforce.faults import RecordFault, RequestFault
from gateway.testkit.servers.salesforce.login import App
from gateway.testkit.servers.salesforce.server import Salesforce

__all__ = ["App", "RecordFault", "RequestFault", "Salesforce"]
