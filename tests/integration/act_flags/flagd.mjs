// Evaluates a flag file with flagd's own core (@openfeature/flagd-core): for each line of
// standard input, {"file", "flag", "users": [context, ...]}, the variants that they get, and
// what flagd's schema says against the file.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const require = createRequire(process.argv[2] + '/');
const { FlagdCore, MemoryStorage } = require('@openfeature/flagd-core');

function evaluate({ file, flag, users }) {
  const complaints = [];
  const note = (...words) => complaints.push(words.join(' '));
  const logger = { error: note, warn: note, info: () => {}, debug: note };
  const core = new FlagdCore(undefined, logger);
  core.setConfigurations(readFileSync(file, 'utf8'));
  const schema = complaints.filter((text) => text.includes('invalid flagd flag configuration'));
  const variants = users.map((user) => {
    const got = core.resolveBooleanEvaluation(flag, false, user, logger);
    return [got.variant ?? null, got.value, got.reason];
  });
  return { schema, variants };
}

for await (const line of createInterface({ input: process.stdin })) {
  let out;
  try {
    out = evaluate(JSON.parse(line));
  } catch (error) {
    out = { error: String(error) };
  }
  console.log(JSON.stringify(out));
}
