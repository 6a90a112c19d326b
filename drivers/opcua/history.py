"""What an outage cost, read from the server's own history: beside the live values, in portions, each reading once.

Source: OPC UA Part 11, 6.4.3 (ReadRawModifiedDetails), 6.5.3 (raw values), Part 4, 5.10.3 (HistoryRead).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from asyncua import ua
from asyncua.ua import uaerrors
from numpy.typing import NDArray

from drivers.opcua.cursor import Cursor, Gap
from drivers.opcua.decode import decode
from drivers.opcua.pick import Pick
from drivers.opcua.refusal import name_of
from drivers.opcua.session import Session
from drivers.opcua.wire import Malformed, Reader, check
from gateway.contract import BAD, GOOD, Batch, Quality

NODES_AT_ONCE = 10
VALUES_AT_ONCE = 1000  # per node
READY_AT_MOST = 2
MOST_PAGES = 1000  # of one stretch: a server whose pages never end must not be asked for ever
_NO_HISTORY = (uaerrors.BadHistoryOperationUnsupported, uaerrors.BadServiceUnsupported, uaerrors.BadUserAccessDenied)
HISTORY_DATA = f"i={ua.ObjectIds.HistoryData_Encoding_DefaultBinary}"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FUTURE_NS = 4_102_444_800 * 10**9


@dataclass(frozen=True, slots=True)
class Page:
    """One node's part of a response: its values, and the token for the rest."""

    status: int
    rest: bytes | None
    data: bytes


@dataclass(slots=True)
class _Ready:
    """A portion, how far it brings each gap, and which of them end with it."""

    batch: Batch
    advances: list[tuple[Gap, int]]
    ends: list[Gap] = field(default_factory=list)


class Backfill:
    """Of one connection. `step` reads the next portion; what it read waits in `ready`, at most two portions of it.

    wake       set when something is ready or all is done
    refused    why there is nothing, in the server's words; empty if there is something
    """

    def __init__(
        self, session: Session, cursor: Cursor, nodes: Mapping[int, Any], picks: Mapping[int, Pick], index: NDArray[np.int32], at_once: int
    ) -> None:
        self._session, self._cursor, self._nodes, self._picks, self._index = session, cursor, nodes, picks, index
        self._at_once = min(at_once, NODES_AT_ONCE)
        self.ready: deque[_Ready] = deque()
        self._taken: _Ready | None = None
        self._later: list[Gap] = []  # not in this connection
        self.wake, self._more = asyncio.Event(), asyncio.Event()
        self.refused = ""
        self._count, self._from_ns, self._to_ns = 0, _FUTURE_NS, 0

    def found(self) -> None:
        """There are new gaps."""
        self._more.set()

    def take(self) -> Batch:
        """The next portion. Only when it is asked for again, the one before is known to have arrived."""
        self.settle()
        self._taken = self.ready.popleft()
        self._more.set()
        return self._taken.batch

    def settle(self) -> None:
        """What was taken has arrived: a new connection need not read it again."""
        taken, self._taken = self._taken, None
        if taken is not None:
            for gap, reached in taken.advances:
                gap.from_ns = reached
            self._end(taken.ends)

    def _end(self, gaps: list[Gap]) -> None:
        ended = set(map(id, gaps))
        self._cursor.gaps = [gap for gap in self._cursor.gaps if id(gap) not in ended]

    def _left(self) -> list[Gap]:
        return [gap for gap in self._cursor.gaps if not gap.read]

    def summary(self) -> tuple[int, int, int] | None:
        """(from_ns, to_ns, readings) once when all gaps are read and handed over, if there was anything."""
        if not self._count or self.ready:
            return None
        later = set(map(id, self._later))
        if not all(id(gap) in later for gap in self._cursor.gaps):
            return None
        told = self._from_ns, self._to_ns, self._count
        self._count, self._from_ns, self._to_ns = 0, _FUTURE_NS, 0
        return told

    async def run(self) -> None:
        """Until cancelled. Raises one of `refusal.FAILURES` when the connection is lost."""
        while True:
            await self._more.wait()
            self._more.clear()
            while (left := self._left()) and len(self.ready) < READY_AT_MOST:
                await self._portion(left[: self._at_once])
            self.wake.set()

    async def _portion(self, gaps: list[Gap]) -> None:
        """One stretch of some tags, to its end. What cannot be read now is left to the next connection: the live values go on."""
        readable = [gap for gap in gaps if gap.position in self._nodes]
        later = [gap for gap in gaps if gap.position not in self._nodes]
        tokens: list[bytes | None] = [None] * len(readable)
        again: list[Gap] = []
        details = _details(readable) if readable else None
        for _ in range(MOST_PAGES):
            if not readable:
                break
            try:
                pages = parse(bytes(await self._session.send(self._request(details, readable, tokens))), len(readable))
            except _NO_HISTORY as exc:
                self.refused = name_of(exc)
                break
            except (uaerrors.UaStatusCodeError, TimeoutError) as exc:
                if self._at_once > 1:
                    self._at_once //= 2
                    return
                self.refused = name_of(exc) if isinstance(exc, uaerrors.UaStatusCodeError) else "no answer in time"
                later += self._left() if isinstance(exc, TimeoutError) else readable
                break
            unfinished = await self._hand_over(readable, pages)
            left = [(gap, page.rest) for gap, page in zip(readable, pages, strict=True) if page.rest]
            readable, tokens = [gap for gap, _ in left], [rest for _, rest in left]
            again += [gap for gap in unfinished if not _among(gap, readable)]
        for gap in later:
            gap.read = True
        self._later += later
        self._done([gap for gap in gaps if not _among(gap, again) and not _among(gap, later)])

    def _done(self, gaps: list[Gap]) -> None:
        for gap in gaps:
            gap.read = True
        if self.ready:
            self.ready[-1].ends += gaps
        elif self._taken is not None:
            self._taken.ends += gaps
        else:
            self._end(gaps)

    async def _hand_over(self, gaps: list[Gap], pages: list[Page]) -> list[Gap]:
        """Gaps of full pages behind which the server names no next one, as some do though there is more: to be asked for again."""
        batches = [self._batch(gap, page) for gap, page in zip(gaps, pages, strict=True)]
        batch = Batch.concat(batches)
        if not len(batch):
            return []
        while len(self.ready) >= READY_AT_MOST:
            await self._more.wait()
            self._more.clear()
        self.ready.append(_Ready(batch, [(gap, gap.read_ns) for gap in gaps]))
        self._count += len(batch)
        self._from_ns, self._to_ns = min(self._from_ns, int(batch.t_ns.min())), max(self._to_ns, int(batch.t_ns.max()))
        self.wake.set()
        full = [len(each) > 0 and _told(page) >= VALUES_AT_ONCE and not page.rest for each, page in zip(batches, pages, strict=True)]
        return [gap for gap, more in zip(gaps, full, strict=True) if more]

    def _batch(self, gap: Gap, page: Page) -> Batch:
        """What lies inside the gap and was not there yet; bad values of a history say only that there is none."""
        if ua.StatusCode(page.status).is_bad():
            self.refused = str(ua.status_codes.get_name_and_doc(page.status)[0])
            return Batch.of([], [], [])
        columns = decode(page.data, 0, prefix=0)
        value, quality, pick = columns.value, columns.quality, self._picks.get(gap.position)
        if pick is not None:
            for row, told in columns.others.items():
                value[row], quality[row] = pick(told)
        order = np.argsort(columns.t_ns, kind="stable")
        t_ns = columns.t_ns[order]
        inside = (t_ns > gap.read_ns) & (t_ns < gap.to_ns) & (quality[order] < BAD)
        inside[1:] &= t_ns[1:] > t_ns[:-1]
        rows = order[inside]
        if len(rows):
            gap.read_ns = int(columns.t_ns[rows[-1]])
        marked = np.where(quality[rows] == GOOD, np.uint8(Quality.BACKFILLED), quality[rows])
        return Batch.of(np.full(len(rows), self._index[gap.position]), columns.t_ns[rows], value[rows], marked)

    def _request(self, details: Any, gaps: list[Gap], tokens: list[bytes | None]) -> Any:
        request = ua.HistoryReadRequest()
        request.Parameters.HistoryReadDetails = details
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.ReleaseContinuationPoints = False  # the library's default would throw the pages away
        request.Parameters.NodesToRead = [
            ua.HistoryReadValueId(NodeId=self._nodes[gap.position], ContinuationPoint=token)
            for gap, token in zip(gaps, tokens, strict=True)
        ]
        return request


def _details(gaps: list[Gap]) -> Any:
    """One stretch around all of `gaps`, the same for every page of it."""
    return ua.ReadRawModifiedDetails(
        IsReadModified=False,
        StartTime=_moment(min(gap.read_ns for gap in gaps)),
        EndTime=_moment(max(gap.to_ns for gap in gaps)) + timedelta(microseconds=1),
        NumValuesPerNode=VALUES_AT_ONCE,
        ReturnBounds=False,
    )


def _among(gap: Gap, gaps: list[Gap]) -> bool:
    return any(gap is each for each in gaps)


def _told(page: Page) -> int:
    return int.from_bytes(page.data[:4], "little", signed=True) if len(page.data) >= 4 else 0


def _moment(t_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=t_ns // 1000)


def parse(response: bytes, wanted: int) -> list[Page]:
    """Pages of a HistoryReadResponse (Part 4, 5.10.3.2), one per node asked for.

    raises UaError      the service result is bad
    raises ValueError   not such a response
    """
    reader = Reader(response)
    try:
        check(reader.header())
        pages = [_page(reader) for _ in range(reader.count(9))]
    except Malformed as exc:
        raise ValueError(f"the server's history cannot be read: {exc}") from exc
    if len(pages) != wanted:
        raise ValueError(f"the server answered for {len(pages)} of {wanted} nodes")
    return pages


def _page(reader: Reader) -> Page:
    status, rest = reader.number("<I"), reader.octets()
    kind, body = reader.extension()
    return Page(status, rest or None, body if kind == HISTORY_DATA else b"")
