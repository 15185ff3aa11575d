"""Telemetry: metrics, traces and log lines.

- `telemetry.py`, `counters.py`, `latency.py`: requests, decisions and stages as plain numbers.
- `activity.py`: those numbers by minutes of the last hour and quarters of an hour of the last day.
- `metrics.py`: those numbers in Prometheus' format.
- `tracing.py`: OpenTelemetry, imported only where traces are on.
- `logs.py`: the format of the log, and the id of the request that a line belongs to.

No name of a user, database or collection becomes a metric or a log line's text. Nothing is decided here.
"""
