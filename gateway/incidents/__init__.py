"""From findings to incidents: one machine fault, one incident."""

from gateway.incidents.history import History
from gateway.incidents.incident import Change, Incident, Phase
from gateway.incidents.lifecycle import Incidents
from gateway.incidents.rule import Rule

__all__ = ["Change", "History", "Incident", "Incidents", "Phase", "Rule"]
