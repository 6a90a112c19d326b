"""Verdicts from Salesforce without anything listening: cases are asked for what changed since the last time."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from gateway.contract import Clock, Judgement, NotConnected, Verdict

log = logging.getLogger("lineside")
# A change is visible when its transaction ends, with the time it began: it may turn up behind what was already seen.
OVERLAP = timedelta(minutes=2)
FIRST = timedelta(days=30)
_PAGES = 50
_MOST_CASES = 2000
_VERDICTS = {
    "true_positive": Judgement.TRUE_POSITIVE,
    "false_alarm": Judgement.FALSE_ALARM,
    "known_issue": Judgement.KNOWN_ISSUE,
    "maintenance": Judgement.MAINTENANCE,
}
_COLUMNS = "Id, CaseNumber, Gateway_Alarm_Id__c, Gateway_Verdict__c, SystemModstamp, LastModifiedBy.Name"


class Get(Protocol):
    """Asks the org; logging in is its affair."""

    async def __call__(self, path: str) -> Any:
        """The JSON of ``GET path``; raises NotConnected, also for what the org refuses."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far we have read, by the org's clock, and which verdict each case had when it was last told, with the time of that.

    A case that is forgotten, because there were newer ones, is told again when somebody edits it; its verdict only repeats itself then.
    """

    at: datetime
    told: Mapping[str, tuple[str, datetime]] = field(default_factory=dict)

    @property
    def since(self) -> datetime:
        return self.at - OVERLAP


class SoqlFeedback:
    """The `Feedback` of the contract. One question every `poll_seconds`, over all pages of its answer.

    gateway    only its own cases: the last part of our CloudEvents source
    state_dir  where the mark is kept
    """

    def __init__(
        self, get: Get, *, gateway: str, clock: Clock, state_dir: Path, poll_seconds: float = 300.0, base: str = "/services/data/v66.0"
    ) -> None:
        self._get, self._gateway, self._clock, self._base = get, gateway, clock, base
        self._file = state_dir / "feedback.json"
        self._poll_seconds, self._due = poll_seconds, 0.0
        self._mark: Mark | None = None
        self._told: Mark | None = None

    async def connect(self) -> None:
        self._told = None
        self._mark = load(self._file) or Mark(datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC) - FIRST)

    async def read(self) -> list[Verdict]:
        """See the contract: what was returned before is on disk now, so the mark may move."""
        if self._mark is None:
            raise NotConnected("Salesforce", "not connected")
        if self._told is not None:
            self._mark, self._told = self._told, None
            save(self._file, self._mark)
        while True:
            if (wait := self._due - self._clock.monotonic()) > 0:
                await self._clock.sleep(wait)
            self._due = self._clock.monotonic() + self._poll_seconds  # before asking: an org that refuses is not asked at once again
            verdicts, after = newer(await self._rows(self._mark), self._mark)
            if verdicts:
                self._told = after
                return verdicts
            self._mark = after

    async def close(self) -> None:
        self._mark = self._told = None

    async def _rows(self, mark: Mark) -> list[Mapping[str, Any]]:
        """All pages; what is beyond the last allowed one comes with the next question, because rows are in order of time."""
        rows: list[Mapping[str, Any]] = []
        path = f"{self._base}/query?q={quote(question(self._gateway, mark.since))}"
        for _ in range(_PAGES):
            answer = await self._get(path)
            if not isinstance(answer, dict) or not isinstance(answer.get("records"), list):
                raise NotConnected("Salesforce", "the answer to a query holds no records")
            rows += [row for row in answer["records"] if isinstance(row, dict)]
            path = str(answer.get("nextRecordsUrl") or "")
            if not path.startswith("/services/data/"):
                break
        return rows


def question(gateway: str, since: datetime) -> str:
    """
    >>> question("press-01", datetime(2027, 1, 15, 8, tzinfo=UTC)).partition(" AND Gateway__c")[2]
    " = 'press-01' AND SystemModstamp >= 2027-01-15T08:00:00Z ORDER BY SystemModstamp"
    """
    name = re.sub(r"(['\\])", r"\\\1", gateway)
    return (
        f"SELECT {_COLUMNS} FROM Case WHERE Gateway_Alarm_Id__c != null AND Gateway_Verdict__c != null AND Gateway__c = '{name}' "  # noqa: S608  escaped above
        f"AND SystemModstamp >= {since:%Y-%m-%dT%H:%M:%S}Z ORDER BY SystemModstamp"
    )


def newer(rows: Iterable[Mapping[str, Any]], mark: Mark) -> tuple[list[Verdict], Mark]:
    """What changed, and the mark after it. Rows that make no sense are told in the log.

    A case is asked for again whenever it was edited, so what counts is that its verdict is another than the one told last.
    """
    found: list[Verdict] = []
    told = dict(mark.told)
    for row in rows:
        at = moment(row.get("SystemModstamp"))
        verdict = understand(row, at) if at else None
        if at is None or verdict is None:
            facts = {"case": str(row.get("CaseNumber"))[:30], "verdict": str(row.get("Gateway_Verdict__c"))[:50]}
            log.warning("verdict not understood", extra={"fields": facts})
            continue
        case = _short(str(row["Id"]))
        if told.pop(case, ("",))[0] != verdict.judgement.value:
            found.append(verdict)
        told[case] = verdict.judgement.value, at
    latest = max([mark.at, *(at for _, at in told.values())])
    newest = sorted(told.items(), key=lambda item: item[1][1], reverse=True)
    kept = {case: last for number, (case, last) in enumerate(newest) if number < _MOST_CASES or last[1] >= latest - OVERLAP}
    return found, Mark(latest, kept)


def _short(id_: str) -> str:
    """The 15 characters that count; the other three are a checksum of their case."""
    return id_[:15]


def understand(row: Mapping[str, Any], at: datetime) -> Verdict | None:
    """What was read twice has the same id; a verdict that comes back after another one has a new id, for it is a new one."""
    case, incident = row.get("Id"), row.get("Gateway_Alarm_Id__c")
    judgement = _VERDICTS.get(str(row.get("Gateway_Verdict__c")).strip().lower().replace(" ", "_"))
    if judgement is None or not isinstance(case, str) or not isinstance(incident, str) or not case or not incident:
        return None
    by = row.get("LastModifiedBy")
    return Verdict(
        id=f"sf-{blake2b(f'{_short(case)}:{judgement.value}:{at.isoformat()}'.encode(), digest_size=10).hexdigest()}",
        incident=incident,
        judgement=judgement,
        t_ns=int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1000,
        by=str(by.get("Name") or "") if isinstance(by, dict) else "",
        case=str(row.get("CaseNumber") or ""),
    )


def moment(text: object) -> datetime | None:
    """
    >>> moment("2027-01-15T08:00:00.000+0000")
    datetime.datetime(2027, 1, 15, 8, 0, tzinfo=datetime.timezone.utc)
    """
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def load(file: Path) -> Mark | None:
    """None: there is none yet, or it is of no use; then more is read again, and known again by its id if nobody edited the case."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        at = moment(said["at"])
        told = {str(case): (str(judgement), _sure(time)) for case, (judgement, time) in dict(said.get("told", {})).items()}
        return Mark(at, told) if at else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        log.warning("feedback mark of no use", extra={"fields": {"file": str(file), "why": str(exc)}})
        return None


def _sure(text: object) -> datetime:
    found = moment(text)
    if found is None:
        raise ValueError(f"{text!r} is no time")
    return found


def save(file: Path, mark: Mark) -> None:
    """Whole or not at all, also through a power cut."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".tmp")
    with beside.open("w", encoding="utf-8") as out:
        told = {case: (judgement, at.isoformat()) for case, (judgement, at) in mark.told.items()}
        json.dump({"at": mark.at.isoformat(), "told": told}, out)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
