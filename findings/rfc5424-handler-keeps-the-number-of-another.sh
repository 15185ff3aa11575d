#!/usr/bin/env bash
# Package:   rfc5424-logging-handler 1.4.3; a stream in place of a syslog server.
# Behaviour: structured data whose name has an enterprise number of its own, such as "asset@99999", changes the number of the
#            elements that come after it in the same message. They are sent with that number instead of the handler's, so that a
#            receiver takes them for those of another vendor. In the other order of the same dictionary each has its own.
# Guess:     `enterprise_id` completes each name that has no number (so the documentation), and the order does not matter:
#            SD-IDs stand for themselves (RFC 5424, 6.3.2).
# Seen:      for 32473: [asset@99999 id="7"][request@99999 id="8"]; in the other order [request@32473 id="8"][asset@99999 id="7"]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check rfc5424-logging-handler==1.4.3
cat >try.py <<'PYTHON'
import io
import logging

from rfc5424logging import Rfc5424SysLogHandler

ASSET, REQUEST = ("asset@99999", {"id": 7}), ("request", {"id": 8})


def sent(*elements):
    stream = io.BytesIO()
    handler = Rfc5424SysLogHandler(stream=stream, enterprise_id="32473", msg_as_utf8=False)
    record = logging.makeLogRecord({"msg": "done", "levelname": "INFO", "structured_data": dict(elements)})
    handler.emit(record)
    line = stream.getvalue().decode()
    return line[line.index("[") : line.rindex("]") + 1]


seen = sent(ASSET, REQUEST), sent(REQUEST, ASSET), sent(REQUEST)
for elements in seen:
    print(elements)
assert seen == (
    '[asset@99999 id="7"][request@99999 id="8"]',
    '[request@32473 id="8"][asset@99999 id="7"]',
    '[request@32473 id="8"]',
), seen
PYTHON
env/bin/python try.py
