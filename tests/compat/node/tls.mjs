// Lists users over TLS with the official Node SDK: node tls.mjs PACKAGE HOST:PORT CA
const [sdk, address, rootCertPath] = process.argv.slice(2);
const { MilvusClient } = (await import(sdk)).default;
const client = new MilvusClient({
  address: `https://${address}`,
  token: "root:Milvus",
  ssl: true,
  tls: { rootCertPath },
  logLevel: "error",
});
const answer = await client.listUsers();
process.stdout.write(JSON.stringify(answer.usernames) + "\n");
await client.closeConnection();
