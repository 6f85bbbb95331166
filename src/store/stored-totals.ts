/**
 * What one shard retains, in all, as its row has it: the number of shards there were (1 byte), its
 * messages and their bytes (doubles, little-endian). The key is the shard's index, 1 byte. Rows of
 * another number of shards are of topics that are others' now.
 */
const MESSAGES_AT = 1;
const BYTES_AT = 9;
const ROW_BYTES = 17;

export interface StoredTotals {
  readonly shardCount: number;
  readonly messages: number;
  readonly bytes: number;
}

export function totalsRow({ shardCount, messages, bytes }: StoredTotals): Buffer {
  const row = Buffer.allocUnsafe(ROW_BYTES);
  row[0] = shardCount;
  row.writeDoubleLE(messages, MESSAGES_AT);
  row.writeDoubleLE(bytes, BYTES_AT);
  return row;
}

/** Null: it is none, and says nothing. */
export function readTotals(row: Buffer): StoredTotals | null {
  if (row.length !== ROW_BYTES) return null;
  return {
    shardCount: row.readUInt8(0),
    messages: row.readDoubleLE(MESSAGES_AT),
    bytes: row.readDoubleLE(BYTES_AT),
  };
}
