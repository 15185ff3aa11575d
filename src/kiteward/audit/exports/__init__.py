"""Sends the lines of a trail to other systems: each at least once, in their order, without delaying requests.

- `settings.py`: where lines go.
- `exporter.py`: follows the files from a place that survives restarts, and waits while a receiver does not take lines.
- `syslog.py`, `otlp.py`: the two kinds of receivers.
"""
