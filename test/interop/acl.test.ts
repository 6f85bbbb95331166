/** The same acl_file in Mosquitto and here: what each client may publish and read is the same. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startBroker } from '../support/broker.js';
import { startMosquitto } from '../support/mosquitto.js';
import { publish } from '../support/packets.js';
import type { Endpoint } from '../support/raw-client.js';
import { TestClient } from '../support/test-client.js';

/** Each line of the manual's, and what stands in its way; the watcher sees all. */
const WATCHED = 'user watcher\ntopic readwrite #\n';
const FILES: readonly string[] = [
  // Who has no name, users, patterns for all; deny, before and behind what it takes away.
  `topic read open/#
${WATCHED}
user ann
topic readwrite a/#
topic deny a/b
topic read c/+
topic write w/#
user bob
topic deny a/b/c
topic a/+/c
topic # 
pattern readwrite own/%u/#
pattern read by/%c/+
pattern write %c/out
pattern deny own/%u/hidden
`,
  // Patterns alone, denied before all that is allowed; some that name nobody.
  `${WATCHED}
pattern deny a/%c/#
pattern readwrite a/#
pattern read own/%u
pattern write own/%u/%c
pattern b/%u/%u
`,
  // Users who are named twice, with nothing, and with blanks; filters with blanks.
  `${WATCHED}
user ann
user bob
topic read a/#
user ann
  topic   write  a/b
topic read with blanks/#
topic  own/ann
user ann lee
topic #
topic deny own/#
`,
  // Nothing for anybody.
  `${WATCHED}`,
];
/** None with `/`, which Mosquitto 2.0.11 takes for a name in a pattern, and we do not. */
const NAMES = [null, 'ann', 'bob', 'Ann', 'ann lee', '%c', 'a+', '#', 'c1'] as const;
const IDS = ['c1', 'ann', '+', '%u'] as const;
const TOPICS = [
  ...['a', 'a/b', 'a/b/c', 'a/c1', 'a/c1/x', 'a/ann/x', 'A/b', 'b', 'b/ann/ann', 'b/c1/ann'],
  ...['open', 'open/x', 'c', 'c/1', 'c/1/2', 'w/x', 'own', 'own/ann', 'own/ann/x', 'own/ann/c1'],
  ...['own/ann/hidden', 'own/bob', 'own/bob/hidden', 'own/%u', 'own/%c', 'own/a/b'],
  ...['by/c1/x', 'by/ann/x', 'by/%c/x', 'c1/out', 'ann/out', 'x/out', '/', '/a'],
  ...['with blanks', 'with blanks/x', 'with', '$x', '$x/a'],
];

/** Who may publish and read what, a line each. */
async function allowedAt(endpoint: Endpoint): Promise<string[]> {
  const found: string[] = [];
  const packets = TOPICS.map((topic) => publish({ topic, payload: topic }));
  const watcher = await TestClient.connect(endpoint, { clientId: 'watcher', username: 'watcher' });
  await watcher.subscribe(['#', 0]);
  for (const username of NAMES) {
    for (const clientId of IDS) {
      const who = `${username ?? '-'} as ${clientId}`;
      const named = username === null ? {} : { username };
      const client = await TestClient.connect(endpoint, { clientId, ...named });
      // Mosquitto lets everybody subscribe to everything: what comes is what counts.
      for (const filter of ['#', '$x/#', '$x']) await client.subscribe([filter, 0]);
      watcher.messages.length = 0;
      client.raw.send(...packets);
      await client.ping();
      await watcher.ping();
      for (const { topic } of watcher.messages) found.push(`${who} publishes ${topic}`);
      client.messages.length = 0;
      watcher.raw.send(...packets);
      await watcher.ping();
      await client.ping();
      for (const { topic } of client.messages) found.push(`${who} reads ${topic}`);
      await client.disconnect();
    }
  }
  await watcher.disconnect();
  return found;
}

for (const [index, rules] of FILES.entries()) {
  test(`what rules allow is what Mosquitto allows by them, file ${index + 1}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'surgemq-acl-'));
    const aclFile = join(folder, 'acl');
    await writeFile(aclFile, rules);
    const mosquitto = await startMosquitto(20, [`acl_file ${aclFile}`, 'user root']);
    await using broker = await startBroker({ authenticator: 'mockSuccess', workers: 1, aclFile });
    const expected = await allowedAt(mosquitto);
    assert.deepEqual(await allowedAt(broker), expected);
    await mosquitto.close();
    await rm(folder, { recursive: true });
  });
}
