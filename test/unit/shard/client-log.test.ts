import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Counters } from '../../../src/base/counters.js';
import { CloseReason } from '../../../src/base/errors.js';
import { CLIENT_LOG_LINES_PER_SECOND_MAX } from '../../../src/base/limits.js';
import type { Connection } from '../../../src/connection/connection.js';
import { ClientLog } from '../../../src/shard/client-log.js';
import type { PrimaryLine } from '../../../src/shard/primary-line.js';

function fakes(lowest: 'info' | 'warn') {
  const lines: [level: string, fields: object, message: string][] = [];
  const line = {
    isLogged: (level: string) => lowest === 'info' && level !== 'debug',
    log: (...parts: [string, object, string]) => lines.push(parts),
  };
  let asked = 0;
  const transport = {
    get peer() {
      asked++;
      return { address: '::ffff:192.0.2.1', port: 1 };
    },
  };
  const connection = {
    clientId: 'a',
    transport,
    username: null,
    session: { endsWithConnection: true },
  };
  return {
    lines,
    line: line as unknown as PrimaryLine,
    connection: connection as unknown as Connection,
    asked: () => asked,
  };
}

test('a second has its lines, shared out among shards, and one for the rest', () => {
  const { lines, line, connection, asked } = fakes('info');
  const log = new ClientLog(line, 4, new Counters());
  const share = CLIENT_LOG_LINES_PER_SECOND_MAX / 4;
  for (let n = 0; n < 1_000; n++) {
    log.connected(connection);
    log.closing(connection, CloseReason.connectionLost, {});
  }
  assert.equal(lines.length, share);
  // The kernel is asked for addresses that are shown, and for no others.
  assert.equal(asked(), share);
  log.onSecond();
  const [, rest] = lines.at(-1)!;
  const { connected, disconnected } = rest as Record<string, number>;
  assert.equal(connected + disconnected, 2_000 - share);
  assert.equal(lines.length, share + 1);
  log.onSecond();
  assert.equal(lines.length, share + 1);
  log.connected(connection);
  assert.equal(lines.length, share + 2);
  assert.match(JSON.stringify(lines.at(-1)), /"address":"192\.0\.2\.1:1"/);
});

test('where info is not logged nothing is gathered', () => {
  const { lines, line, connection, asked } = fakes('warn');
  const log = new ClientLog(line, 1, new Counters());
  log.connected(connection);
  log.closing(connection, CloseReason.connectionLost, {});
  log.onSecond();
  assert.deepEqual([lines, asked()], [[], 0]);
});
