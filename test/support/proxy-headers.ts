/** Headers of the PROXY protocol, right and wrong. */

/** Version 2, with any command, family and what follows. */
export function proxyV2(command: number, family: number, body: Buffer): Buffer {
  const fixed = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0', 'latin1');
  fixed[12] = command;
  fixed[13] = family;
  fixed.writeUInt16BE(body.length, 14);
  return Buffer.concat([fixed, body]);
}

/** Version 1 of a client at this IPv4 address. */
export function proxyV1(address: string, port = 56_324): Buffer {
  return Buffer.from(`PROXY TCP4 ${address} 192.0.2.1 ${port} 1883\r\n`);
}
