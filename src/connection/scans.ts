/** The scans of a shard, which all of its connections share. */
import type { Config } from '../base/config.js';
import { FrameScan } from '../protocol/frame-scan.js';
import { FrameScan5, Sender } from '../protocol/v5/index.js';
import { recordBytesMax } from '../router/ring.js';

/** One for 3.x and one for 5.0, with one table of packet ids. */
export function makeScans({ maxPacketBytes, ringBytes }: Config): {
  scan: FrameScan;
  scan5: FrameScan5;
} {
  const runBytesMax = recordBytesMax(ringBytes);
  const scan = new FrameScan(maxPacketBytes, runBytesMax);
  const { packetIds } = scan;
  return { scan, scan5: new FrameScan5(maxPacketBytes, Sender.client, packetIds, runBytesMax) };
}
