"""The forms of an error: of a whole request (``errorCode``) and of one record (``statusCode``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


class Refused(Exception):
    """A whole request is refused: status and ``[{"message", "errorCode", "fields"?}]``."""

    def __init__(self, status: int, code: str, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.fields = status, code, message, list(fields)

    def body(self) -> str:
        said: dict[str, Any] = {"message": self.message, "errorCode": self.code}
        if self.fields:
            said["fields"] = self.fields
        return json.dumps([said])


class Unfit(Exception):
    """One record is refused."""

    def __init__(self, code: str, message: str, fields: Sequence[str] = ()) -> None:
        super().__init__(code)
        self.code, self.message, self.fields = code, message, list(fields)

    def result(self) -> dict[str, Any]:
        return {"success": False, "errors": [{"statusCode": self.code, "message": self.message, "fields": self.fields}]}

    def whole(self, status: int = 400) -> Refused:
        return Refused(status, self.code, self.message, self.fields)


def not_found() -> Refused:
    return Refused(404, "NOT_FOUND", "The requested resource does not exist")
