/** The harness for MQTT 5.0: a server that says in CONNACK what the test wants. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { ClientOptions } from '../../../src/client/index.js';
import { frame, hex, lengthPrefixed, word } from '../../support/packets.js';
import type { FakeConnection, FakeServer } from './fake-server.js';
import { type Harness, start } from './harness.js';

/** A block of properties behind its length; below 128 bytes. */
export function properties(block: Buffer | string = ''): Buffer {
  const bytes = typeof block === 'string' ? hex(block) : block;
  assert(bytes.length < 128);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

/** CONNACK of MQTT 5.0. */
export function connack5(
  block: Buffer | string = '',
  { code = 0, sessionPresent = false } = {},
): Buffer {
  return frame(0x20, Buffer.from([sessionPresent ? 1 : 0, code]), properties(block));
}

/** PUBLISH of MQTT 5.0. */
export function publish5(
  topic: string,
  payload: string,
  { qos = 0, packetId = 1, flags = 0, block = '' as Buffer | string } = {},
): Buffer {
  const id = qos === 0 ? Buffer.alloc(0) : word(packetId);
  const body = [lengthPrefixed(topic), id, properties(block), Buffer.from(payload)];
  return frame(0x30 | (qos << 1) | flags, ...body);
}

/** An ack of MQTT 5.0 with a reason code and a Reason String. */
export function ack5(header: number, packetId: number, code: number, reason?: string): Buffer {
  const block =
    reason === undefined
      ? Buffer.alloc(0)
      : properties(Buffer.concat([hex('1f'), lengthPrefixed(reason)]));
  return frame(header, word(packetId), Buffer.from([code]), block);
}

/** Takes the next connection, reads its CONNECT and accepts it. */
export async function accept5(
  server: FakeServer,
  block: Buffer | string = '',
  sessionPresent = false,
): Promise<{ connection: FakeConnection; connect: Buffer }> {
  const connection = await server.accept();
  const connect = await connection.readPacket('CONNECT');
  assert.equal(connect[0], 0x10);
  connection.send(connack5(block, { sessionPresent }));
  return { connection, connect };
}

/** A client of MQTT 5.0 that is connected, and the server's side of the connection. */
export async function connected5(
  t: TestContext,
  options: ClientOptions = {},
  block: Buffer | string = '',
): Promise<Harness & { connection: FakeConnection; connect: Buffer }> {
  const { server, client } = await start(t, { protocolVersion: 5, ...options });
  const [accepted] = await Promise.all([accept5(server, block), client.connect()]);
  return { server, client, ...accepted };
}
