"""Receivers on loopback that answer as real ones do, with scripted faults: for tests of the HTTPS uplink."""

from gateway.testkit.servers.crm.dataverse import Dataverse
from gateway.testkit.servers.crm.eventgrid import EventGrid
from gateway.testkit.servers.crm.hubspot import HubSpot
from gateway.testkit.servers.crm.sap import SapEventMesh
from gateway.testkit.servers.crm.servicenow import ServiceNow
from gateway.testkit.servers.crm.site import Answer, Seen, Site
from gateway.testkit.servers.crm.tokens import TokenEndpoint
from gateway.testkit.servers.crm.webhook import WebhookInbox

__all__ = [
    "Answer",
    "Dataverse",
    "EventGrid",
    "HubSpot",
    "SapEventMesh",
    "Seen",
    "ServiceNow",
    "Site",
    "TokenEndpoint",
    "WebhookInbox",
]
