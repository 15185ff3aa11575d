// Lists collections three times in a row: node limited.mjs PACKAGE HOST:PORT TOKEN
//
// Prints one line of JSON: what came of each call.
const [sdk, address, token] = process.argv.slice(2);
const { MilvusClient } = (await import(sdk)).default;
const client = new MilvusClient({ address, token, logLevel: "error" });
await client.connectPromise;
const seen = [];
for (let call = 0; call < 3; call++) {
  try {
    const { status } = await client.showCollections();
    seen.push(status.error_code === "Success" ? "ok" : status.reason);
  } catch (error) {
    seen.push(String(error));
  }
}
process.stdout.write(JSON.stringify(seen) + "\n");
await client.closeConnection();
