/** The hash that says which shard owns what there is of a topic: the same in all threads. */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** 32-bit FNV-1a of bytes [start, end). */
export function hashOfBytes(buffer: Buffer, start: number, end: number): number {
  let hash = FNV_OFFSET | 0;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ buffer[at], FNV_PRIME);
  return hash;
}

/** That of a topic key's bytes. */
export function hashOfTopic(topicKey: string): number {
  let hash = FNV_OFFSET | 0;
  for (let at = 0; at < topicKey.length; at++) {
    hash = Math.imul(hash ^ topicKey.charCodeAt(at), FNV_PRIME);
  }
  return hash;
}
