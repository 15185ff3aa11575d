// Walks over everything that the official Node SDK can do with users, roles and data: node walk.mjs PACKAGE HOST:PORT
//
// Each step prints one line of JSON: its name and what it saw, or the sentence by which it was refused. At a pause the
// walk waits for a line on its standard input. An API key comes in KITEWARD_API_KEY. tests/compat/walkthrough.py says what
// each step must print.

import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";

const [sdk, address] = process.argv.slice(2);
const { DataType, MilvusClient } = (await import(sdk)).default;
const PASSWORD = "Str0ng-enough";
const NEW_PASSWORD = "An0ther-password";
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
const clients = [];

function say(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

function signIn(token) {
  const client = new MilvusClient({ address, token, logLevel: "error" });
  // What goes wrong while connecting comes out of the first call too.
  client.connectPromise.catch(() => {});
  clients.push(client);
  return client;
}

// Answers carry their failure, if any, as a status beside the data; transport errors are thrown.
function checked(answer) {
  const status = answer.status ?? answer;
  if (status.error_code !== undefined && status.error_code !== "Success") {
    throw new Error(status.reason);
  }
  return answer;
}

async function step(name, call, show = () => null) {
  const begun = performance.now();
  let seen;
  try {
    seen = { value: show(checked(await call())) };
  } catch (error) {
    seen = { refused: error.details ?? error.message };
  }
  say({ step: name, ...seen, seconds: (performance.now() - begun) / 1000 });
}

async function pause(name) {
  say({ pause: name });
  await lines.next();
}

// After a failed attempt to connect, a channel rests for a second or more before the next; until then every call fails.
async function reconnected(client) {
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    if (await client.hasCollection({ collection_name: "secrets" }).then(() => true, () => false)) {
      return;
    }
    await setTimeout(100);
  }
}

const names = (roles) => roles.map((role) => role.name).sort();
const rolesOf = (answer) => names(answer.results[0]?.roles ?? []);
const keys = (rows) => rows.map((row) => Number(row.id));
const vector = (number) => [1, number, 0, 0];
const rows = (count) => Array.from({ length: count }, (_, id) => ({ id, vector: vector(id) }));

const query = (client, collection_name) => () => client.query({ collection_name, filter: "id >= 0", output_fields: ["id"] });
const search = (client, collection_name) => () =>
  client.search({ collection_name, data: [vector(1)], anns_field: "vector", limit: 2, output_fields: ["id"] });
const found = (answer) => keys(answer.data).sort();
const nearest = (answer) => keys(Array.isArray(answer.results[0]) ? answer.results[0] : answer.results);
const v2 = (privilege, collection_name) => ({ role: "editors", privilege, collection_name, db_name: "default" });
const v1 = { roleName: "editors", object: "Collection", objectName: "secrets", privilegeName: "Query" };

async function users(root) {
  await step("create_user", () => root.createUser({ username: "ann", password: PASSWORD }));
  await step("create_user_again", () => root.createUser({ username: "ann", password: PASSWORD }));
  await step("create_user_weak", () => root.createUser({ username: "bob", password: "password" }));
  await step("list_users", () => root.listUsers(), (answer) => [...answer.usernames].sort());
  await step("describe_user", () => root.describeUser({ username: "ann" }), rolesOf);
  const change = { username: "ann", oldPassword: PASSWORD, newPassword: NEW_PASSWORD };
  await step("update_password", () => root.updateUser(change));
  await step("update_password_wrong_old", () => root.updateUser(change));
  await step("old_password", () => signIn(`ann:${PASSWORD}`).describeUser({ username: "ann" }));
  const ann = signIn(`ann:${NEW_PASSWORD}`);
  await step("new_password", () => ann.describeUser({ username: "ann" }), rolesOf);
  return ann;
}

async function roles(root, ann) {
  await step("create_role", () => root.createRole({ roleName: "editors" }));
  await step("create_role_again", () => root.createRole({ roleName: "editors" }));
  await step("list_roles", () => root.listRoles(), (answer) => names(answer.results.map((each) => each.role)));
  await step("grant_role", () => root.grantRole({ username: "ann", roleName: "editors" }));
  await step("describe_user_with_role", () => root.describeUser({ username: "ann" }), rolesOf);
  await step("missing_privilege", query(ann, "secrets"));
}

async function grants(root, ann) {
  await step("grant_v1", () => root.grantPrivilege(v1));
  await step("query_by_v1", query(ann, "secrets"), found);
  await step("revoke_v1", () => root.revokePrivilege(v1));
  await step("query_without_v1", query(ann, "secrets"));
  await step("grant_v2", () => root.grantPrivilegeV2(v2("Query", "secrets")));
  await step("describe_role", () => root.listGrants({ roleName: "editors" }), (answer) =>
    answer.entities.map((each) => [
      each.object.name, each.object_name, each.db_name, each.grantor.privilege.name, each.grantor.user.name,
    ]));
  await step("query_by_v2", query(ann, "secrets"), found);
  await step("revoke_v2", () => root.revokePrivilegeV2(v2("Query", "secrets")));
  await step("query_without_v2", query(ann, "secrets"));
}

async function privilegeGroups(root, ann) {
  const group_name = "readers";
  const members = (answer) =>
    answer.privilege_groups.filter((each) => each.group_name === group_name).flatMap((each) => names(each.privileges));
  await step("create_group", () => root.createPrivilegeGroup({ group_name }));
  await step("add_to_group", () => root.addPrivilegesToGroup({ group_name, privileges: ["Query", "Search"] }));
  await step("list_groups", () => root.listPrivilegeGroups(), members);
  await step("grant_group", () => root.grantPrivilegeV2(v2(group_name, "secrets")));
  await step("query_by_group", query(ann, "secrets"), found);
  await step("remove_from_group", () => root.removePrivilegesFromGroup({ group_name, privileges: ["Query"] }));
  await step("query_without_group", query(ann, "secrets"));
  await step("search_by_group", search(ann, "secrets"), nearest);
  await step("drop_group_in_use", () => root.dropPrivilegeGroup({ group_name }));
  await step("revoke_group", () => root.revokePrivilegeV2(v2(group_name, "secrets")));
  await step("drop_group", () => root.dropPrivilegeGroup({ group_name }));
  await step("list_groups_without", () => root.listPrivilegeGroups(), members);
}

async function data(root, ann) {
  const collection_name = "notes";
  const create = {
    collection_name,
    fields: [
      { name: "id", data_type: DataType.Int64, is_primary_key: true, autoID: false },
      { name: "vector", data_type: DataType.FloatVector, dim: 4 },
    ],
    consistency_level: "Strong",
  };
  await step("create_collection_without_privilege", () => ann.createCollection(create));
  await step("grant_creating", () => root.grantPrivilegeV2(v2("CreateCollection", "*")));
  await step("create_collection", () => ann.createCollection(create));
  for (const privilege of ["CreateIndex", "Load", "Insert", "Search", "Query", "Delete", "DropCollection"]) {
    await step(`grant_${privilege}`, () => root.grantPrivilegeV2(v2(privilege, collection_name)));
  }
  const index = { field_name: "vector", index_type: "AUTOINDEX", metric_type: "L2" };
  await step("create_index", () => ann.createIndex({ collection_name, ...index }));
  await step("load", () => ann.loadCollectionSync({ collection_name }));
  await step("insert", () => ann.insert({ collection_name, data: rows(10) }), (answer) => Number(answer.insert_cnt));
  await step("search", search(ann, collection_name), nearest);
  await step("query", query(ann, collection_name), found);
  const many = rows(10_000).slice(10);
  await step("insert_large", () => ann.insert({ collection_name, data: many }), (answer) => Number(answer.insert_cnt));
  await step("delete", () => ann.delete({ collection_name, filter: "id >= 3" }));
  await step("query_after_delete", query(ann, collection_name), found);
}

async function everythingElse(ann) {
  const collection_name = "notes";
  await step("upsert", () => ann.upsert({ collection_name, data: rows(1) }));
  await step("flush", () => ann.flush({ collection_names: [collection_name] }));
  await step("release", () => ann.releaseCollection({ collection_name }));
  await step("rename", () => ann.renameCollection({ collection_name, new_collection_name: "mine" }));
  await step("create_partition", () => ann.createPartition({ collection_name, partition_name: "p" }));
  await step("create_alias", () => ann.createAlias({ collection_name, alias: "a" }));
  await step("create_database", () => ann.createDatabase({ db_name: "db" }));
  await step("create_user_by_ann", () => ann.createUser({ username: "eve", password: PASSWORD }));
  await step("drop_user_by_ann", () => ann.dropUser({ username: "keyholder" }));
  await step("list_users_by_ann", () => ann.listUsers());
  await step("describe_other_by_ann", () => ann.describeUser({ username: "root" }));
  await step("create_role_by_ann", () => ann.createRole({ roleName: "mine" }));
  await step("grant_role_by_ann", () => ann.grantRole({ username: "ann", roleName: "admin" }));
  await step("grant_v1_by_ann", () => ann.grantPrivilege(v1));
  await step("grant_v2_by_ann", () => ann.grantPrivilegeV2(v2("Query", "*")));
  await step("create_group_by_ann", () => ann.createPrivilegeGroup({ group_name: "mine" }));
  await step("query_other", query(ann, "secrets"));
  await step("search_other", search(ann, "secrets"));
  await step("drop_other", () => ann.dropCollection({ collection_name: "secrets" }));
  await step("has_other", () => ann.hasCollection({ collection_name: "secrets" }), (answer) => answer.value);
  await step("list_collections", () => ann.listCollections(), (answer) => answer.data.map((each) => each.name));
  await step("drop_collection", () => ann.dropCollection({ collection_name }));
  await step("list_collections_after", () => ann.listCollections(), (answer) => answer.data.map((each) => each.name));
}

async function apiKeys() {
  const holder = signIn(process.env.KITEWARD_API_KEY);
  await step("key_describes_its_user", () => holder.describeUser({ username: "keyholder" }), rolesOf);
  await step("key_queries", query(holder, "secrets"), found);
  await step("key_searches_without_privilege", search(holder, "secrets"));
  await step("key_lists_users", () => holder.listUsers());
  await step("wrong_key", () => signIn(`${process.env.KITEWARD_API_KEY}x`).listCollections());
  return holder;
}

async function leaving(root, ann) {
  await step("revoke_role", () => root.revokeRole({ username: "ann", roleName: "editors" }));
  await step("after_revoke_role", () => ann.createCollection({ collection_name: "late", dimension: 4 }));
  await step("drop_role_with_grants", () => root.dropRole({ roleName: "editors" }));
  await step("revoke_last_grant", () => root.revokePrivilegeV2(v2("CreateCollection", "*")));
  await step("drop_role", () => root.dropRole({ roleName: "editors" }));
  await step("list_roles_after", () => root.listRoles(), (answer) => names(answer.results.map((each) => each.role)));
  await step("drop_user", () => root.dropUser({ username: "ann" }));
  await step("after_drop_user", () => ann.describeUser({ username: "ann" }));
  await step("list_users_after", () => root.listUsers(), (answer) => [...answer.usernames].sort());
}

async function errors(root, holder) {
  await pause("before_wrong_password");
  await step("wrong_password", () => signIn("keyholder:Wr0ng-guess").listUsers());
  await pause("after_wrong_password");
  await step("unknown_user", () => signIn("nobody:Wr0ng-guess").listUsers());
  await step("no_credential", () => signIn("").listUsers());
  await pause("restart");
  await step("root_while_server_is_away", () => root.listUsers(), (answer) => [...answer.usernames].sort());
  await pause("back");
  await reconnected(root);
  await reconnected(holder);
  await step("root_after_restart", () => root.listUsers(), (answer) => [...answer.usernames].sort());
  await step("key_after_restart", query(holder, "secrets"), found);
}

const root = signIn("root:Milvus");
const ann = await users(root);
await roles(root, ann);
await grants(root, ann);
await privilegeGroups(root, ann);
await data(root, ann);
await everythingElse(ann);
const holder = await apiKeys();
await leaving(root, ann);
await errors(root, holder);
await Promise.all(clients.map((client) => client.closeConnection()));
input.close();
