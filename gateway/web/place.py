"""Where somebody asks from: what is counted together."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import Final

LOCAL: Final = "this machine"


def group(address: str) -> str:
    """Whose a connection counts as: an IPv6 network of /64 is one, for it has as many addresses as it likes.

    >>> group("10.1.4.7"), group("2001:db8:0:1:aaaa::1"), group("127.0.0.1"), group("::ffff:10.1.4.7")
    ('10.1.4.7', '2001:db8:0:1::/64', 'this machine', '10.1.4.7')
    """
    with suppress(ValueError):
        found = ipaddress.ip_address(address.partition("%")[0])
        found = getattr(found, "ipv4_mapped", None) or found
        if found.is_loopback:
            return LOCAL
        return str(found) if found.version == 4 else str(ipaddress.ip_network(f"{found}/64", strict=False))
    return address
