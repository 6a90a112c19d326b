"""Clocks as the contract's `Clock`: the operating system's, and the gateway's own, which knows whether it can be trusted."""

from gateway.clock.kept import Adopted, KeptClock, gateway_now_ns
from gateway.clock.record import Record, Shift
from gateway.clock.signs import Signs
from gateway.clock.system import SystemClock

__all__ = ["Adopted", "KeptClock", "Record", "Shift", "Signs", "SystemClock", "gateway_now_ns"]
