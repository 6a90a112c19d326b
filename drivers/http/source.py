"""Takes what is posted, gives it to the gateway, and answers when what it caused is on disk."""

from __future__ import annotations

import asyncio
import hmac
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate

from drivers.http.bodies import TYPES, form, read
from drivers.http.config import HttpOptions
from drivers.http.keys import MOST_CHARACTERS, Kept, Keys, digest
from drivers.rows.mapper import Mapper, Taken
from drivers.rows.places import steps
from drivers.rows.row import Unreadable
from gateway.contract import Answer, Health, Item, NotConnected, Posted, SourceContext, Trouble

ROWS_AT_ONCE = 10_000
ON_A_THREAD_BYTES = 50_000


@dataclass(eq=False)
class Post:
    """One that waits for its answer.

    now_ns   the time of its rows that tell none
    given    the gateway has it, so it may be on disk whatever becomes of us
    """

    key: str
    digest: str
    now_ns: int
    taken: Taken = field(default_factory=Taken)
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    given: bool = False

    def end(self, status: int, **body: object) -> None:
        if not self.answer.done():
            self.answer.set_result(Answer(status, body))


class HttpSource:
    """See README.md. Posts wait in `_waiting`, then, returned by `read`, in `_given`; the next `read` answers those."""

    def __init__(self, options: HttpOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._mapper = Mapper(options, context.tags, context.records)
        self._inside = steps(options.rows) if options.rows else ()
        self._keys = Keys(
            context.state_dir / "posted.keys", context.clock, most=options.remember_keys, age_ns=round(options.remember * 1e9)
        )
        self._waiting: deque[Post] = deque()
        self._given: list[Post] = []
        self._parsing = 0
        self._by_key: dict[str, Post] = {}
        self._came: asyncio.Event | None = None
        self._busy: asyncio.Future[None] | None = None
        self._token = b""

    async def connect(self) -> None:
        self._token = self._context.secret(self._options.token).encode()
        try:
            await asyncio.to_thread(self._keys.load)
        except OSError as exc:
            raise NotConnected(str(self._context.state_dir), _why(exc)) from exc
        self._came = asyncio.Event()
        self._context.serve(self._receive)

    async def read(self) -> list[Item]:
        if self._came is None:
            raise NotConnected("/ingest", "not open")
        await self._acknowledge()
        while not (items := await self._next(self._came)):
            pass
        return items

    async def close(self) -> None:
        self._context.serve(None)
        was_open, self._came = self._came is not None, None
        if self._busy is not None:
            await asyncio.wait([self._busy])  # a thread may still write keys
            self._busy.exception()  # what it failed at nobody asks any more
            self._busy = None
        if was_open:
            with suppress(OSError):  # whoever closes it, asks no more
                await asyncio.to_thread(self._keys.follow)
        for post in (*self._given, *self._waiting):
            post.end(503, error="the gateway is closing this source; post it again" + _with_the_key(post))
        self._given.clear()
        self._waiting.clear()
        self._by_key.clear()

    async def _next(self, came: asyncio.Event) -> list[Item]:
        """Of as many posts as go together. Empty when they were all taken back meanwhile."""
        while not self._waiting:
            came.clear()
            await came.wait()
        rows = accumulate(post.taken.rows for post in self._waiting)
        posts = [post for at, (post, sum_) in enumerate(zip(self._waiting, rows, strict=True)) if not at or sum_ <= ROWS_AT_ONCE]
        if self._mapper.dates and (begun := [Kept(post.key, post.digest, post.now_ns, begun=True) for post in posts if post.key]):
            await self._keep(begun)
        items: list[Item] = []
        for post in posts:
            if not post.answer.done():
                self._waiting.remove(post)
                post.given = True
                self._given.append(post)
                items += post.taken.items()
        return items

    async def _acknowledge(self) -> None:
        """What `read` returned before is on disk now. Its keys go to disk too, then it is answered."""
        now_ns = self._context.clock.now_ns()
        if fresh := [Kept(post.key, post.digest, now_ns) for post in self._given if post.key]:
            await self._keep(fresh)
        for post in self._given:
            self._by_key.pop(post.key, None)
            post.end(202, rows=post.taken.rows)
        self._given.clear()

    async def _keep(self, fresh: list[Kept]) -> None:
        self._busy = asyncio.ensure_future(asyncio.to_thread(self._keys.add, fresh))
        try:
            await asyncio.shield(self._busy)
        except OSError as exc:
            raise NotConnected(str(self._context.state_dir), f"keys cannot be kept: {_why(exc)}") from exc
        self._busy = None

    async def _receive(self, posted: Posted) -> Answer:
        if not hmac.compare_digest(posted.token.encode(), self._token):
            return Answer(401, {"error": "wrong token; send Authorization: Bearer with the source's own"})
        if len(posted.key) > MOST_CHARACTERS:
            return Answer(400, {"error": f"Idempotency-Key is longer than {MOST_CHARACTERS} characters"})
        known = digest(posted.content_type, posted.body) if posted.key else ""
        if (post := self._by_key.get(posted.key)) is not None:
            return await self._answered(post) if post.digest == known else _other()
        if (kept := self._keys.get(posted.key)) is not None:
            return Answer(202, {"repeated": True}) if kept.digest == known else _other()
        answer = await self._take(posted, known)
        self._tell(answer)
        return answer

    async def _take(self, posted: Posted, known: str) -> Answer:
        found = form(posted.content_type)
        if found is None:
            return Answer(415, {"error": f"Content-Type {posted.content_type or 'is missing'}; taken are {', '.join(TYPES)}"})
        if len(self._waiting) + self._parsing >= self._options.max_waiting:
            return Answer(503, {"error": f"{self._options.max_waiting} posts wait already"})
        begun_ns = self._keys.begun_ns(posted.key, known)
        post = Post(posted.key, known, self._context.clock.now_ns() if begun_ns is None else begun_ns)
        if posted.key:
            self._by_key[posted.key] = post
        try:
            self._parsing += 1
            post.taken = await self._parse(posted.body, *found, post.now_ns)
        except Unreadable as exc:
            return self._refuse(post, [str(exc)])
        except asyncio.CancelledError:  # the page closes its connections; the same post may come again
            self._by_key.pop(posted.key, None)
            post.end(503, error="the page was closed while this was read; post it again")
            raise
        finally:
            self._parsing -= 1
        if post.taken.refused:
            return self._refuse(post, [str(refused) for refused in post.taken.refused])
        if self._came is None:
            post.end(503, error="the gateway is closing this source; post it again")
        elif not post.taken.items():
            self._by_key.pop(posted.key, None)
            post.end(202, rows=post.taken.rows)
        else:
            self._waiting.append(post)
            self._came.set()
        return await self._answered(post)

    async def _parse(self, body: bytes, kind: str, charset: str, now_ns: int) -> Taken:
        """Long ones on a thread: the line must not wait for them."""

        def parse() -> Taken:
            options = self._options
            return read(body, kind, charset, self._mapper, inside=self._inside, delimiter=options.delimiter, now_ns=now_ns)

        return parse() if len(body) <= ON_A_THREAD_BYTES else await asyncio.to_thread(parse)

    def _refuse(self, post: Post, why: list[str]) -> Answer:
        """Nothing of it was taken; whoever waits with the same key hears the same."""
        self._by_key.pop(post.key, None)
        post.end(400, error=why[0], all=why, taken=0)
        return post.answer.result()

    async def _answered(self, post: Post) -> Answer:
        """Several may wait for one post. One that nobody has fetched by then is taken back."""
        done, _ = await asyncio.wait([post.answer], timeout=self._options.answer_within)
        if done:
            return post.answer.result()
        if not post.given and post in self._waiting:
            self._waiting.remove(post)
            self._by_key.pop(post.key, None)
            post.end(503, error=f"the gateway did not come to it within {self._options.answer_within:g} s; nothing of it was taken")
            return post.answer.result()
        why = f"not on disk within {self._options.answer_within:g} s; post it again"
        return Answer(503, {"error": why + _with_the_key(post)})

    def _tell(self, answer: Answer) -> None:
        """A sender that is let in and sends what cannot be taken is a case for somebody."""
        if answer.status in (400, 415):
            why = f"what is posted is refused: {answer.body['error']}"
            self._context.health(Health(trouble=Trouble.DEGRADED, active=True, why=why))
        elif answer.status == 202:
            self._context.health(Health(trouble=Trouble.DEGRADED, active=False))


def _with_the_key(post: Post) -> str:
    return " with the same Idempotency-Key" if post.key else "; without an Idempotency-Key it may be taken twice"


def _other() -> Answer:
    return Answer(422, {"error": "this Idempotency-Key came with another body before"})


def _why(exc: OSError) -> str:
    return (exc.strerror or str(exc)).lower()
