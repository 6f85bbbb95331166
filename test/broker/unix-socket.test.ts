/** Clients that come by a unix socket. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ConfigError } from '../../src/base/errors.js';
import { startBroker } from '../support/broker.js';
import { connect as connectPacket, PINGREQ, PINGRESP } from '../support/packets.js';
import { within } from '../support/waiting.js';

describe('a unix socket', () => {
  let folder = '';

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'surgemq-unix-'));
  });

  after(() => rmSync(folder, { recursive: true }));

  /** Connects, and reads until a PINGRESP has come. */
  async function ping(path: string): Promise<Buffer> {
    const socket = connect(path);
    socket.write(Buffer.concat([connectPacket({ clientId: 'u', keepAlive: 0 }), PINGREQ]));
    try {
      return await within(untilPong(socket), 'a PINGRESP');
    } finally {
      socket.destroy();
    }
  }

  function untilPong(socket: Socket): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let got = Buffer.alloc(0);
      socket.on('error', reject);
      socket.on('data', (bytes) => {
        got = Buffer.concat([got, bytes]);
        if (got.length >= 6) resolve(got);
      });
    });
  }

  test('is served like other addresses, and goes with the broker', async () => {
    const path = join(folder, 'served');
    await using broker = await startBroker({ unixMode: '600', workers: 2 });
    await broker.server.listenAndServe(`unix:${path}`);
    const { kind, uri, port } = broker.server.addresses[1];
    assert.deepEqual([kind, uri, port], ['unix', `unix://${path}`, 0]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const got = await ping(path);
    assert.deepEqual(got, Buffer.concat([Buffer.of(0x20, 2, 0, 0), PINGRESP]));
    await broker.close();
    assert.equal(existsSync(path), false);
  });

  test('takes the place of one that nobody answers on, and of nothing else', async () => {
    const stale = join(folder, 'stale');
    // Of a process that was killed.
    const program =
      'net.createServer().listen(process.argv[1], () => process.kill(process.pid, 9))';
    spawnSync(process.execPath, ['-e', program, stale]);
    assert.ok(statSync(stale).isSocket());
    await using broker = await startBroker();
    const listen = (path: string) => broker.server.listenAndServe(`unix://${path}`);
    await listen(stale);
    await ping(stale);
    await assert.rejects(listen(stale), (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.match(error.message, /^cannot listen on unix:\/\/.*stale: another process listens/);
      return true;
    });
    await ping(stale);
    const file = join(folder, 'file');
    writeFileSync(file, 'precious');
    await assert.rejects(listen(file), /there is a file that is no socket/);
    assert.ok(existsSync(file));
    await assert.rejects(listen(join(folder, 'none', 'x')), /the directory is not there/);
  });
});
