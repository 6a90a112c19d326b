"""The hand-over document: one HTML file without anything from outside, made to be printed and signed."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from gateway import __version__
from gateway.events.build import rfc3339

if TYPE_CHECKING:
    from gateway.commands.commission import Report, SourceReport, TagReport

_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;color:#1b2733;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.05rem;margin:2rem 0 .3rem;border-bottom:1px solid #c9d3dc;padding-bottom:.2rem}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.22rem .6rem .22rem 0;vertical-align:top;border-bottom:1px solid #e8edf1}
th{font-weight:600;color:#4a5b6a}td.n{text-align:right;font-variant-numeric:tabular-nums}
.ok{color:#1a7f4b}.look{color:#9a6700}.fault{color:#b42318;font-weight:600}
p.sum{font-size:1.05rem}.sign{margin-top:3rem;display:flex;gap:3rem}.sign div{flex:1;border-top:1px solid #1b2733;padding-top:.3rem}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}
"""


def html(report: Report) -> str:
    """The whole page."""
    site, faults = report.settings.site, report.faults
    words = "Everything is as it should be." if not faults else f"{faults} faults were found."
    name = f"{site.enterprise} / {site.site} / {site.gateway}"
    parts = [
        f"<h1>Commissioning of {escape(site.gateway)}</h1>",
        f"<p>{escape(name)} · {report.at:%Y-%m-%d %H:%M} UTC · {escape(report.settings.path.name)} · Lineside {__version__}</p>",
        f'<p class="sum {"fault" if faults else "ok"}">{words}</p>',
        *(_source(source) for source in report.sources),
        _certificates(report),
        '<div class="sign"><div>Date, commissioned by</div><div>Date, taken over by</div></div>',
    ]
    title = f"Commissioning of {escape(site.gateway)}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _source(source: SourceReport) -> str:
    facts = [f"connected in {source.seconds:.2f} s"] if source.seconds else []
    if source.skew_seconds is not None:
        facts.append(f"its clock is {_skew(source.skew_seconds)} the gateway's, less the way of the readings")
    facts += [f"{record}: {count} messages" for record, count in source.records.items()]
    facts += [f"{health.device or source.machine}: {health.trouble.value}, {health.why}" for health in source.health if health.active]
    rows = "".join(_tag(tag) for tag in source.tags)
    head = "<tr><th></th><th>tag</th><th>value</th><th>unit</th><th>quality</th><th>time (UTC)</th><th>remarks</th></tr>"
    return (
        f'<h2>{escape(source.machine)} <span class="{source.verdict}">{_MARK[source.verdict]} {escape(source.said)}</span></h2>'
        f"<p>{escape(source.kind)}{'; ' if facts else ''}{escape('; '.join(facts))}</p>" + (f"<table>{head}{rows}</table>" if rows else "")
    )


def _skew(seconds: float) -> str:
    """
    >>> _skew(-0.04), _skew(2.0), _skew(-3.26)
    ('as', '2.0 s ahead of', '3.3 s behind')
    """
    if abs(seconds) < 0.1:
        return "as"
    return f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'}"


def _tag(tag: TagReport) -> str:
    value = "" if tag.value is None else f"{tag.value:.6g}"
    when = rfc3339(tag.t_ns)[:23].replace("T", " ") if tag.t_ns > 0 else ""
    cells = [escape(tag.path.split("/", 1)[1]), value, escape(tag.unit), escape(tag.quality), when, escape("; ".join(tag.remarks))]
    kinds = ["", ' class="n"', "", "", "", ""]
    body = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, cells, strict=True))
    return f'<tr><td class="{tag.verdict}">{_MARK[tag.verdict]}</td>{body}</tr>'


def _certificates(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{escape(one.folder)}</td><td>{escape(one.subject)}</td><td>{one.thumbprint[:16]}</td>"
        f'<td class="n">{one.days_left:,.0f} days left</td></tr>'
        for one in report.certificates
    )
    return f"<h2>Certificates</h2><table>{rows}</table>" if rows else ""


_MARK = {"ok": "✓", "look": "!", "fault": "✗"}
