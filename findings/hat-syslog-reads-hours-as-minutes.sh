#!/usr/bin/env bash
# Package:   hat-syslog 0.7.28, the syslog server of Hat; no network: the function that its server decodes messages with.
# Behaviour: of the offset of a timestamp, the hours are also read as its minutes: +05:30 is taken for +05:05, and -05:00 for
#            -04:55. Messages of hosts with an offset are stored with times that are minutes early or late, so that those of
#            several hosts are not in the order of the events. What is sent in UTC, as by Hat's own programs, is right.
# Guess:     the same instant is the same time, whatever the offset that it is written with (RFC 5424, 6.2.3).
# Seen:      one instant in seven offsets, seconds from that in UTC: +00:00 0, +02:00 -120, +05:30 1500, +05:45 2400, -05:00 -300,
#            -03:30 -1980, Z 0
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check hat-syslog==0.7.28
cat >try.py <<'PYTHON'
from datetime import UTC, datetime, timedelta, timezone

from hat.syslog import encoder

INSTANT = datetime(2026, 5, 4, 12, 0, 0, 250_000, tzinfo=UTC)
OFFSETS = {"+00:00": 0, "+02:00": 120, "+05:30": 330, "+05:45": 345, "-05:00": -300, "-03:30": -210}


def late(timestamp):
    message = encoder.msg_from_str(f"<110>1 {timestamp} host app - - - signed in")
    return round(message.timestamp - INSTANT.timestamp())


seen = {}
for offset, minutes in OFFSETS.items():
    timestamp = INSTANT.astimezone(timezone(timedelta(minutes=minutes))).isoformat()
    assert timestamp.endswith(offset), timestamp
    seen[offset] = late(timestamp)
seen["Z"] = late("2026-05-04T12:00:00.250Z")
for offset, seconds in seen.items():
    print(f"{offset}: {seconds} s")
assert seen == {
    "+00:00": 0,
    "+02:00": -120,
    "+05:30": 1500,
    "+05:45": 2400,
    "-05:00": -300,
    "-03:30": -1980,
    "Z": 0,
}, seen
PYTHON
env/bin/python try.py
