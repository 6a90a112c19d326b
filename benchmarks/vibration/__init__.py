"""How often the bearing diagnosis is right, how early a trend is told, and how often either cries wolf, on public recordings.

    python -m benchmarks.vibration --data DIR            all of them; writes VIBRATION.md (`make bench-vibration DATA=DIR`)
    python -m benchmarks.vibration.cwru --data DIR/cwru  one of them; --json FILE has its figures

The recordings are not part of the project: DIR holds ``cwru/``, ``ims/`` and ``femto/``; each module says what lies in it. Any folder of
the same shape will do, and what is absent is said. Waveforms run through the product's own contract: its plugin builds the detector,
`process` takes the blocks, and what it tells is counted. Series of levels, where there are no waveforms, go into the product's trend.
One setting for all files.
"""
