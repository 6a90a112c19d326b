"""An installed driver of somebody else, and the gateway's end of its process."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import registry
from gateway.contract import Health, Receiver, SecretRef
from gateway.isolate.source import IsolatedSource, Isolation
from gateway.testkit.contexts import source_context

PLUGIN = Path(__file__).parent / "plugin"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN))


class Bench:
    """Makes isolated sources of the bad driver and keeps what they said."""

    def __init__(self) -> None:
        self.lost: Counter[str] = Counter()
        self.told: list[Health] = []
        self.filled: list[tuple[int, int, int]] = []
        self.reasons: list[str] = []
        self.receivers: list[Receiver | None] = []
        self.made: list[IsolatedSource] = []

    def __call__(self, bad: str, *, silence: float = 5.0, megabytes: int = 64, **options: Any) -> IsolatedSource:
        plugin = registry.source("bad")
        model = plugin.options.model_validate({"bad": bad, **options})
        context = source_context(
            plugin,
            {"a": {}},
            records={"order": {}},
            lost=self.lost,
            told=self.told,
            filled=self.filled,
            serve=self.receivers.append,
            secrets={"named": "hunter2", "other": "not its affair"},
        )
        entry = registry.isolated("bad", None)
        assert entry is not None
        isolation = Isolation(plugin=entry, megabytes=megabytes, silent_seconds=silence, secrets=(SecretRef(secret="named"),))
        source = IsolatedSource(model, context, isolation, ended=self.reasons.append)
        self.made.append(source)
        return source


@pytest.fixture
async def bench(installed: None) -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    for source in made.made:
        await source.end()
