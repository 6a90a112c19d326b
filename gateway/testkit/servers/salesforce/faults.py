"""What a test makes go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.testkit.servers.salesforce.answers import Unfit


@dataclass
class RequestFault:
    """Answers a whole request, before anything of it is done; with `after`, when it is done.

    path    a part of the request's path; empty: all of the API, not the log-in
    body    sent as it is; by default one error with `code`
    kind    answer; hang: no answer ever; cut: half an answer, then the connection is closed; drop: closed without one
    times   how often; None: for ever
    """

    status: int = 500
    code: str = "UNKNOWN_EXCEPTION"
    path: str = ""
    body: str | None = None
    kind: str = "answer"
    times: int | None = 1
    after: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        return json.dumps([{"message": f"as scripted: {self.code}", "errorCode": self.code}]) if self.body is None else self.body


@dataclass
class RecordFault:
    """Refuses single records.

    when    which of them; by default all
    """

    code: str
    fields: tuple[str, ...] = ()
    when: Callable[[Mapping[str, Any]], bool] = lambda _: True
    times: int | None = None
    message: str = ""


@dataclass
class Faults:
    requests: list[RequestFault] = field(default_factory=list)
    records: list[RecordFault] = field(default_factory=list)

    def of_request(self, path: str, *, after: bool) -> RequestFault | None:
        for fault in self.requests:
            here = fault.path in path if fault.path else "/services/data/" in path
            if here and fault.after == after and _use(fault):
                return fault
        return None

    def of_record(self, record: Mapping[str, Any]) -> None:
        """Raises Unfit."""
        for fault in self.records:
            if fault.when(record) and _use(fault):
                raise Unfit(fault.code, fault.message or f"as scripted: {fault.code}", fault.fields)


def _use(fault: RequestFault | RecordFault) -> bool:
    if fault.times is None:
        return True
    fault.times -= 1
    return fault.times >= 0
