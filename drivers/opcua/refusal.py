"""What a server refuses, in the engineer's words, and what to click on which server."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from asyncua import ua
from asyncua.ua import uaerrors

from drivers.opcua.config import OpcuaOptions
from drivers.opcua.trust import Untrusted

FAILURES = (uaerrors.UaError, OSError, ValueError, struct.error)
"""What the library raises for a peer that is gone, refuses, or sends what is no answer; TimeoutError and ConnectionError are OSErrors."""

NOT_US = (uaerrors.BadUserAccessDenied, uaerrors.BadIdentityTokenRejected, uaerrors.BadIdentityTokenInvalid)
_NOT_OUR_CERTIFICATE = (
    uaerrors.BadSecurityChecksFailed,
    uaerrors.BadCertificateUntrusted,
    uaerrors.BadCertificateInvalid,
    uaerrors.BadCertificateUriInvalid,
    uaerrors.BadCertificateUseNotAllowed,
    uaerrors.BadCertificateTimeInvalid,
    uaerrors.BadCertificateChainIncomplete,
)
_CLICK = (  # what the server calls itself, and where its people accept a client
    (("kepware", "kepserver", "thingworx"), "OPC UA Configuration → Trusted Clients → Lineside → Trust"),
    (
        ("simatic", "s7-1500", "s7-1200", "s7opc"),
        "TIA Portal: CPU → OPC UA → Server → Security → Trusted clients, then load it into the CPU",
    ),
    (("siemens", "winccua", "wincc"), "move it from the server's PKI folder rejected to trusted"),
    (("prosys",), "Certificates → Rejected → Lineside → Trust"),
    (("uaexpert", "unified automation", "unifiedautomation"), "move it from pkiserver/rejected to pkiserver/trusted/certs"),
    (("ignition",), "Config → OPC UA → Security → Server → Quarantined Certificates → Trust"),
    (
        ("codesys", "wago", "beckhoff", "twincat"),
        "security screen of its engineering tool: Quarantined Certificates → Trusted Certificates",
    ),
    (("sinumerik",), "OPC UA settings of the control: Rejected certificates → Trust"),
    (("nodeopcua", "node-opcua"), "move it from its PKI folder rejected to trusted/certs"),
)
_CLICK_DEFAULT = "accept it there (a list named Rejected, Quarantined or Trusted clients)"


class ChannelRefused(ConnectionError):
    """The server answered the request for a secure channel with a fault; which one, the library does not tell."""


class PlainPassword(ConnectionError):
    """The server would get the password in clear text, and nobody allowed that."""


def click(server: str) -> str:
    """Where people of a server that describes itself as `server` accept a client's certificate."""
    told = server.lower()
    return next((where for names, where in _CLICK if any(name in told for name in names)), _CLICK_DEFAULT)


def why(exc: BaseException, options: OpcuaOptions, file: Path, server: str, *, opening: bool) -> str:
    """One clause. `file` is our certificate, `server` what the server calls itself; `opening`: nothing was read yet."""
    if isinstance(exc, Untrusted | PlainPassword):
        return str(exc)
    if isinstance(exc, NOT_US):
        if options.certificate:
            return "the user's certificate was refused"
        return f"user {options.user} or its password refused" if options.user else "the server wants a user and a password"
    if isinstance(exc, _NOT_OUR_CERTIFICATE):
        return f"the server does not trust our certificate {file}: {click(server)} ({name_of(exc)})"
    if isinstance(exc, uaerrors.UaStatusCodeError):
        return name_of(exc)
    if isinstance(exc, TimeoutError):
        return f"no answer within {options.timeout:g} s"
    if isinstance(exc, ChannelRefused):
        return f"the server refused a secure channel; does it trust our certificate {file}? If not: {click(server)}"
    if isinstance(exc, ConnectionResetError | ConnectionAbortedError) or type(exc) is ConnectionError:
        asked = opening and options.security != "None"
        return f"connection lost; does the server trust our certificate {file}? If not: {click(server)}" if asked else "connection lost"
    if isinstance(exc, struct.error):
        return f"an answer that is none: {exc}"
    if isinstance(exc, OSError) and exc.errno is not None and exc.errno > 0:
        words = os.strerror(exc.errno).lower()
        return f"{exc.filename}: {words}" if exc.filename else words  # a file is ours, not the server's
    return (str(exc) or type(exc).__name__).splitlines()[0][:200]


def name_of(exc: uaerrors.UaStatusCodeError) -> str:
    name, text = ua.status_codes.get_name_and_doc(exc.code)
    return f"{name}: {text.rstrip('.')}" if text else str(name)
