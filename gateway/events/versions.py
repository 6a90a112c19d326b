"""Two majors side by side: events are built in the newest; who still wants the major before gets a rendition of it. Pure.

During a transition a destination names the majors it wants by contract, ``{"incident": 1}``. Its events go through
`in_major` just before they are sent; the outbox holds the newest only, and a destination gets one major, never both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from gateway.contract import Event
from gateway.events.catalogue import SHIPPED, Catalogue

Step: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
Steps: TypeAlias = Mapping[tuple[str, int], Step]

DOWN: Steps = {}
"""Contract and major to a function from its data to the data of the major before. Empty while there is one major of each."""


def in_major(event: Event, majors: Mapping[str, int], *, catalogue: Catalogue = SHIPPED, steps: Steps = DOWN) -> Event:
    """The event in the wanted major of its contract: itself when its contract is not named or it is not newer.

    A rendition is an event of its own: its id is the event's with ``-v<major>``, the same each time it is made.

    raises LookupError         there is no step down from one of the majors between
    raises ContractViolation   what came out does not fit the older contract
    """
    contract = catalogue.contract(event.type)
    stem, _, number = event.type.rpartition(".v")
    major = majors.get(contract, int(number))
    if major >= int(number):
        return event
    data, type_ = msgspec.json.decode(event.data), f"{stem}.v{major}"
    for newer in range(int(number), major, -1):
        if (contract, newer) not in steps:
            raise LookupError(f"there is no step from {contract} {newer} down to {newer - 1}")
        data = steps[contract, newer](data)
    catalogue.check(type_, data)
    return replace(event, id=f"{event.id}-v{major}", type=type_, dataschema=catalogue.dataschema(type_), data=msgspec.json.encode(data))
