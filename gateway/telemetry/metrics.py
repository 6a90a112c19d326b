"""The gateway's numbers in Prometheus' text format; computed when asked, so that counting costs the hot path nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.telemetry.counts import Counts, Figure
from gateway.telemetry.status import Status

HELP = {
    "readings_received": "readings taken from sources, by source",
    "readings": "readings processed",
    "readings_bad": "readings that are bad, by reason",
    "readings_dropped": "readings lost in the gateway, by source and reason",
    "source_processes_ended": "processes of isolated sources that were stopped or crashed, by source and reason",
    "source_interrupted": "drivers in the gateway's own process that computed without a pause and were interrupted, by source",
    "polls_skipped": "polls not made because an earlier one took too long, by source",
    "logins": "logins at the page, by result",
    "page_refused": "connections the page did not take, by reason",
    "audit_failed": "times the audit could not be written",
    "audit_lost": "lines of the audit that were lost because it could not be written",
    "posts": "what was posted to /ingest, by source and status",
    "records": "business messages taken",
    "waveforms": "blocks of fast channels processed",
    "waveforms_bad": "blocks that are bad, by reason",
    "waveforms_dropped": "blocks lost in the gateway, by source and reason",
    "waveforms_not_kept": "blocks of fast channels that should have been kept beside a case, by reason",
    "analysis_dropped": "items a slow detector had no time for, by watch and shape",
    "findings": "what detectors said, by watch",
    "findings_shadow": "what detectors on trial said, by watch",
    "alarms_shadow": "incidents that watches on trial would have raised, by watch",
    "events": "events built, by type",
    "incidents_damaged": "stored incidents that were damaged on disk (checksum) and set aside at the start",
    "evidence_reduced": "incidents whose curves were cut short because there were too many",
    "events_dropped": "events given up before they were stored, by destination and reason",
    "events_unaddressed": "events no destination wanted",
    "deliveries": "what became of events sent, by destination and outcome",
    "fields_cut": "fields cut short or left empty to fit a receiver, by destination",
    "contract_violations": "events of ours that broke their contract and were not sent",
    "verdicts": "verdicts that came back, by destination and judgement",
}


class Metrics(Collector):
    """Counters from `Counts`, link states from `Status`, everything else from `figures`."""

    def __init__(self, counts: Counts, status: Status, figures: Callable[[], Iterable[Figure]]) -> None:
        self._counts, self._status, self._figures = counts, status, figures
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self) -> bytes:
        text: bytes = generate_latest(self._registry)
        return text

    def collect(self) -> Iterator[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for name, labels, value in self._counts:
            keys = [key for key, _ in labels]
            family = families.setdefault(name, CounterMetricFamily(f"lineside_{name}", HELP.get(name, name.replace("_", " ")), labels=keys))
            family.add_metric([text for _, text in labels], value)
        for link in self._status.links.values():
            up = families.setdefault("link_up", GaugeMetricFamily("lineside_link_up", "1 = connected", labels=["kind", "name"]))
            up.add_metric([link.kind, link.name], float(link.state == "up"))
        for figure in self._figures():
            kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
            keys = [key for key, _ in figure.labels]
            known = families.setdefault(figure.name, kind(f"lineside_{figure.name}", figure.help, labels=keys))
            known.add_metric([text for _, text in figure.labels], figure.value)
        yield from families.values()
