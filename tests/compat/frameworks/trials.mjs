// What the programs in JavaScript share, as trials.py does for those in Python: they go through trials one by one.

import { createInterface } from "node:readline";

export const address = process.argv.at(-1);
export const token = process.env.KITEWARD_TOKEN;
export const database = process.env.KITEWARD_DATABASE;

function say(line) {
  process.stdout.write(`\n${JSON.stringify(line, (_, value) => (typeof value === "bigint" ? Number(value) : value))}\n`);
}

// Answers carry their failure, if any, as a status beside the data; transport errors are thrown.
export function checked(answer) {
  const status = answer.status ?? answer;
  if (status.error_code !== undefined && status.error_code !== "Success") {
    throw new Error(status.reason);
  }
  return answer;
}

export async function run(jobs) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  for (const [trial, job, collection] of JSON.parse(process.env.KITEWARD_TRIALS)) {
    say({ pause: trial });
    await lines.next();
    try {
      say({ trial, value: (await jobs[job](collection)) ?? null });
    } catch (error) {
      say({ trial, refused: String(error.details ?? error.message ?? error) });
    }
  }
  process.exit(0);
}
