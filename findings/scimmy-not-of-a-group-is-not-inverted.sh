#!/usr/bin/env bash
# Package:   scimmy 1.3.5 (npm); no network.
# Behaviour: `not` before parentheses is put before each condition inside them, and the `or` or `and` between them stays: `not (A or
#            B)` is read as `not A or not B`, and `not (A and B)` as `not A and not B`. `Filter.match` returns what was to be
#            excluded, and a PATCH that removes all members but two removes these as well, without an error.
# Guess:     the opposite of what the parentheses hold, as RFC 7644 (3.4.2.2) has it. (The library's documentation has an example with
#            `or` that shows such an array, and does not say that it is not the opposite.)
# Seen:      of ann (boss, active), bob (clerk, not active), cid (none, active): not (boss or clerk): [ann, bob, cid], written as not
#            boss and not clerk: [cid]; not (boss and active): [bob]; of the members 1, 2, 3, after those that are not (1 or 2) are
#            removed: none is left, after 3 is removed: 1, 2
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts scimmy@1.3.5
cat >try.mjs <<'NODE'
import assert from "node:assert";
import SCIMMY from "scimmy";

const users = [
  { userName: "ann", title: "boss", active: true },
  { userName: "bob", title: "clerk", active: false },
  { userName: "cid", title: "none", active: true },
];
const found = (filter) => new SCIMMY.Types.Filter(filter).match(users).map((user) => user.userName);

async function left(path) {
  const schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
  const patch = new SCIMMY.Messages.PatchOp({ schemas, Operations: [{ op: "remove", path }] });
  const members = ["1", "2", "3"].map((value) => ({ value, type: "User" }));
  const group = new SCIMMY.Schemas.Group({ id: "g", displayName: "staff", members });
  let changed;
  await patch.apply(group, async (instance) => (changed = instance));
  return (changed.members ?? []).map((member) => member.value);
}

SCIMMY.Resources.declare(SCIMMY.Resources.User);
SCIMMY.Resources.declare(SCIMMY.Resources.Group);
const seen = {
  "not (boss or clerk)": found('not (title eq "boss" or title eq "clerk")'),
  "not boss and not clerk": found('not (title eq "boss") and not (title eq "clerk")'),
  "not (boss and active)": found('not (title eq "boss" and active eq true)'),
  "members that are not 1 or 2, removed": await left('members[not (value eq "1" or value eq "2")]'),
  "member 3, removed": await left('members[value eq "3"]'),
};
console.log(seen);
assert.deepEqual(Object.values(seen), [["ann", "bob", "cid"], ["cid"], ["bob"], [], ["1", "2"]]);
process.exit(0);
NODE
node try.mjs
