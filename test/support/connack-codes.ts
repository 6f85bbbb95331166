/** What clients of either version are answered to a CONNECT. */
import { type Broker, unique } from './broker.js';
import { connect } from './packets.js';
import { connect5 } from './packets5.js';

/** What a client says of itself. */
export interface Who {
  readonly username?: string;
  readonly password?: string;
}

/** The codes of CONNACK, of 3.1.1 and 5.0, for a client that says this of itself. */
export async function codesFor(broker: Broker, who: Who): Promise<number[]> {
  const codes: number[] = [];
  for (const packet of [connect, connect5]) {
    const client = await broker.raw();
    client.send(packet({ clientId: unique('who'), ...who }));
    const said = await client.readPacket();
    codes.push(said[3]);
    if (said[3] !== 0) await client.expectClose();
  }
  return codes;
}
