"""How well the detectors find what they should, and how often they cry wolf, on public recordings.

    python -m benchmarks.analytics --data DIR           all of them; writes ANALYTICS.md (`make bench-analytics DATA=DIR`)
    python -m benchmarks.analytics.nab --data DIR/nab   one of them; --json FILE has its figures

The recordings are not part of the project: DIR holds ``nab/`` (github.com/numenta/NAB: ``data/<group>/<name>.csv`` and
``labels/combined_windows.json``), ``skab/`` and ``ims/``. Any folder of the same shape will do, and what is absent is said.

Every detector runs through the product's own contract: its plugin builds it, `process` takes the readings in the order of
their times, and `Scoring.show` gives the scores. Scored before it is learnt, one setting for all files.
"""
