"""A source in a process of its own, so that a driver that loops, crashes or eats memory takes nothing else with it.

`source.py` is the gateway's end: a `Source` like any other. `host.py` is the process' end. Between them is a pair of sockets with
`frames.py`; what comes from the process is believed no more than what comes from a network.
"""
