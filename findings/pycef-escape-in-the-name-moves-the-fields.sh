#!/usr/bin/env bash
# Package:   pycef 1.11; no network.
# Behaviour: an escaped character in the header of a CEF line, `\|` or `\\`, ends the header for `pycef.parse`. The name of the event
#            is empty and the severity is missing, and the first key of the extension has the rest of the header before it, so that
#            nobody finds its value under that key. No error, and the log has no warning.
# Guess:     the name is "user | group changed": CEF asks for a pipe and a backslash in the header to be escaped, and pycef's own
#            comments say that it takes care of such pipes.
# Seen:      name "", no severity, key "changed|8|src"; with "user and group changed" all in place
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pycef==1.11
env/bin/python -W ignore - <<'PYTHON'
import pycef

seen = {}
for name in ("user and group changed", r"user \| group changed", r"user\\group changed"):
    event = pycef.parse(rf"CEF:0|Example|gateway|1.0|7|{name}|8|src=192.0.2.7 suser=ann")
    extension = {key: value for key, value in event.items() if value in ("192.0.2.7", "ann")}
    seen[name] = (event["Name"], event.get("Severity"), extension)
    print(name, "->", *seen[name])
lost = ("", None, {"changed|8|src": "192.0.2.7", "suser": "ann"})
assert seen == {
    "user and group changed": ("user and group changed", "8", {"src": "192.0.2.7", "suser": "ann"}),
    r"user \| group changed": lost,
    r"user\\group changed": lost,
}, seen
PYTHON
