#!/usr/bin/env bash
# Package:   cloudevents 2.2.0, its own API for events of version 1.0 (`cloudevents.core`) and the older one beside it; no network.
# Behaviour: an event without an `id` gets one, and a `time`, by a change of the caller's dictionary, which the event keeps. Events
#            that are made from one dictionary of common attributes all have the id and the time of the first. Receivers may
#            take events with the same source and id for duplicates, and keep only one.
# Guess:     a new id for each event, as in the older API; the guide for the change says that attributes are generated as before.
# Seen:      three events of one dictionary: 1 id, and id, specversion and time are added to it; with the older API 3 ids, and
#            the dictionary is as it was
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0
cat >try.py <<'PYTHON'
import json

from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.conversion import to_structured
from cloudevents.v1.http import CloudEvent as OldEvent

COMMON = {"type": "com.example.signin", "source": "/login"}


def tried(made, body):
    common = dict(COMMON)
    events = [made(common, {"user": user}) for user in ("ann", "bob", "cid")]
    sent = [json.loads(body(event)) for event in events]
    assert [event["data"]["user"] for event in sent] == ["ann", "bob", "cid"], sent
    return len({event["id"] for event in sent}), sorted(common.keys() - COMMON.keys())


seen = {
    "core": tried(CloudEvent, lambda event: to_structured_event(event).body),
    "older": tried(OldEvent, lambda event: to_structured(event)[1]),
}
for api, (ids, added) in seen.items():
    print(f"{api}: three events, {ids} id(s); added to the dictionary {added}")
assert seen == {"core": (1, ["id", "specversion", "time"]), "older": (3, [])}, seen
PYTHON
env/bin/python try.py
