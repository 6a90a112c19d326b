"""``/registry``: the contracts as released, so that a consumer can fetch by `dataschema` what an event was made by."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from hashlib import sha256
from typing import Final

from aiohttp import web

from gateway.events.catalogue import SHIPPED, Catalogue
from gateway.events.published import document, documents, index, sent_types

SCHEMA_TYPE: Final = "application/schema+json"
_OTHER: Final = re.compile(r"(io\.lineside\.[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62})/([1-9][0-9]{0,2})\.([0-9]{1,3})\.json")


def routes() -> list[web.AbstractRouteDef]:
    """The index, and one document per type and version."""
    return [web.get("/registry", _index), web.get("/registry/contracts/{type}/{file}", _contract)]


async def _index(request: web.Request) -> web.Response:
    # The detectors are asked for their domains: imports, so not on the loop.
    found = await asyncio.to_thread(_known)
    return _cached(request, document(index(found)), "application/json")


async def _contract(request: web.Request) -> web.Response:
    place = f"{request.match_info['type']}/{request.match_info['file']}"
    body = (await asyncio.to_thread(_known)).get(place) or _other(place)
    if body is None:
        raise web.HTTPNotFound
    return _cached(request, body, SCHEMA_TYPE)


def _cached(request: web.Request, body: bytes, content_type: str) -> web.Response:
    """With its hash as ETag; 304 without a body to whoever has it already."""
    tag = sha256(body).hexdigest()
    have = {etag.value for etag in request.if_none_match or ()}
    response = web.Response(status=304) if have & {tag, "*"} else web.Response(body=body, content_type=content_type)
    response.etag = tag
    response.headers["Cache-Control"] = "no-cache"
    return response


@lru_cache(maxsize=1)
def _known() -> dict[str, bytes]:
    return documents([*sent_types(), *SHIPPED.received_types()])


@lru_cache(maxsize=64)
def _other(place: str) -> bytes | None:
    """A fact without a contract of its own has the common one, whatever a detector calls it; there is no list of them."""
    named = _OTHER.fullmatch(place)
    if named is None:
        return None
    name, major, minor = named[1], int(named[2]), int(named[3])
    catalogue = Catalogue(SHIPPED.folder)  # one of its own: what anybody may ask for must not fill the shared one
    try:
        return document(catalogue.schema(f"{name}.v{major}", minor)) if catalogue.contract(f"{name}.v{major}") == "fact" else None
    except LookupError:
        return None
