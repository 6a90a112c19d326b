"""What somebody may do; each role may all that the ones before it may."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """viewer reads, operator shelves alarms, engineer reloads the configuration and reads the audit, admin keeps the accounts.

    >>> Role["OPERATOR"] >= Role.VIEWER, Role.ADMIN.word
    (True, 'admin')
    """

    VIEWER = 1
    OPERATOR = 2
    ENGINEER = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        return self.name.lower()


WORDS = tuple(role.word for role in Role)
