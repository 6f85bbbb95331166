import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { WebSocketConfig } from '../../../src/base/listener-config.js';
import { answerUpgrade, notHttp, requestEnd } from '../../../src/transport/websocket-request.js';
import { upgradeRequest } from '../../support/websocket-frames.js';

const CONFIG: WebSocketConfig = { path: '/mqtt', origins: [] };
const LISTED: WebSocketConfig = { path: '/mqtt', origins: ['https://app.example', 'null'] };

type Case = [what: string, request: string, status: number, config?: WebSocketConfig];
const REFUSED: readonly Case[] = [
  ['another path', upgradeRequest({}, 'GET /other HTTP/1.1'), 404],
  ['a path that only begins so', upgradeRequest({}, 'GET /mqtt/ HTTP/1.1'), 404],
  ['another case', upgradeRequest({}, 'GET /MQTT HTTP/1.1'), 404],
  ['POST', upgradeRequest({}, 'POST /mqtt HTTP/1.1'), 405],
  ['CONNECT', upgradeRequest({}, 'CONNECT /mqtt HTTP/1.1'), 405],
  ['HTTP/1.0', upgradeRequest({}, 'GET /mqtt HTTP/1.0'), 400],
  ['HTTP/2', upgradeRequest({}, 'PRI * HTTP/2.0'), 400],
  ['a whole URI', upgradeRequest({}, 'GET http://localhost/mqtt HTTP/1.1'), 400],
  ['a control in the path', upgradeRequest({}, 'GET /mqtt\x00 HTTP/1.1'), 400],
  ['two spaces', upgradeRequest({}, 'GET  /mqtt HTTP/1.1'), 400],
  ['no upgrade', upgradeRequest({ Upgrade: null, Connection: 'close' }), 426],
  ['an upgrade to something else', upgradeRequest({ Upgrade: 'h2c' }), 426],
  ['Connection that does not name it', upgradeRequest({ Connection: 'keep-alive' }), 426],
  ['version 8', upgradeRequest({ 'Sec-WebSocket-Version': '8' }), 426],
  ['no version', upgradeRequest({ 'Sec-WebSocket-Version': null }), 426],
  ['no key', upgradeRequest({ 'Sec-WebSocket-Key': null }), 400],
  ['a short key', upgradeRequest({ 'Sec-WebSocket-Key': 'c2hvcnQ=' }), 400],
  [
    'a key with a bit too many',
    upgradeRequest({ 'Sec-WebSocket-Key': `${'A'.repeat(21)}B==` }),
    400,
  ],
  ['no subprotocol', upgradeRequest({ 'Sec-WebSocket-Protocol': null }), 400],
  ['others', upgradeRequest({ 'Sec-WebSocket-Protocol': 'stomp, MQTT' }), 400],
  ['no host', upgradeRequest({ Host: null }), 400],
  ['two hosts', upgradeRequest({ host: 'other' }), 400],
  ['two keys', upgradeRequest({ 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }), 400],
  ['a body', upgradeRequest({ 'Content-Length': '5' }), 400],
  ['chunks', upgradeRequest({ 'Transfer-Encoding': 'chunked' }), 400],
  ['a header on two lines', upgradeRequest({ 'X-Long': 'a\r\n b' }), 400],
  ['a header without a name', upgradeRequest({ '': 'a' }), 400],
  ['a space before the colon', upgradeRequest({ 'X-Space ': 'a' }), 400],
  ['a control in a header', upgradeRequest({ 'X-Control': 'a\x1b[31m' }), 400],
  ['a lone line feed', upgradeRequest({ 'X-Feed': 'a\nX-More: b' }), 400],
  [
    'too many headers',
    upgradeRequest(Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`X-${at}`, 'a']))),
    400,
  ],
  ['an Origin that is not listed', upgradeRequest({ Origin: 'https://evil.example' }), 403, LISTED],
  [
    'an Origin that only begins so',
    upgradeRequest({ Origin: 'https://app.example.evil' }),
    403,
    LISTED,
  ],
  ['two Origins', upgradeRequest({ Origin: 'https://app.example', origin: 'null' }), 400, LISTED],
];
const ACCEPTED: readonly [
  what: string,
  request: string,
  protocol: string,
  config?: WebSocketConfig,
][] = [
  ['as it should be', upgradeRequest(), 'mqtt'],
  ['with a query', upgradeRequest({}, 'GET /mqtt?token=a HTTP/1.1'), 'mqtt'],
  [
    "by the client's order",
    upgradeRequest({ 'Sec-WebSocket-Protocol': 'x, mqttv3.1,mqtt' }),
    'mqttv3.1',
  ],
  ['as Firefox asks', upgradeRequest({ Connection: 'keep-alive, Upgrade' }), 'mqtt'],
  ['in any case', upgradeRequest({ Upgrade: 'WebSocket', Connection: 'upgrade' }), 'mqtt'],
  ['with extensions', upgradeRequest({ 'Sec-WebSocket-Extensions': 'permessage-deflate' }), 'mqtt'],
  ['from a listed Origin', upgradeRequest({ Origin: 'https://APP.example' }), 'mqtt', LISTED],
  ['from no page', upgradeRequest(), 'mqtt', LISTED],
  ['from any page', upgradeRequest({ Origin: 'https://any.example' }), 'mqtt'],
];

describe('the request for a WebSocket', () => {
  for (const [what, request, status, config = CONFIG] of REFUSED) {
    it(`is refused with ${status}: ${what}`, () => {
      const { response, refusal } = answerUpgrade(request, config);
      assert.match(response, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.match(response, /\r\nConnection: close\r\nContent-Length: 0\r\n/);
      assert.match(refusal ?? '', /^[ -~]+$/);
    });
  }

  for (const [what, request, protocol, config = CONFIG] of ACCEPTED) {
    it(`is accepted ${what}`, () => {
      const { response, refusal } = answerUpgrade(request, config);
      assert.equal(refusal, null);
      // The key and its answer are those of RFC 6455, 1.3. No extension is agreed to.
      assert.equal(
        response,
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n' +
          `Sec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
      );
    });
  }

  it('ends behind its empty line, wherever it is cut', () => {
    const bytes = Buffer.from(`${upgradeRequest()}behind`);
    const end = bytes.length - 'behind'.length;
    for (let before = 0; before < end; before++) assert.equal(requestEnd(bytes, before), end);
    for (let length = 0; length < end; length++)
      assert.equal(requestEnd(bytes.subarray(0, length)), -1);
  });

  it('is told from what is no HTTP by its first byte', () => {
    assert.equal(notHttp(0x47), null);
    assert.match(notHttp(0x10)?.refusal ?? '', /MQTT without WebSocket/);
    assert.match(notHttp(0x16)?.refusal ?? '', /TLS/);
    assert.match(notHttp(0)?.refusal ?? '', /no HTTP/);
  });

  it('is answered by a constant response, whatever it says', () => {
    const header = fc.tuple(
      fc.constantFrom(
        'Host',
        'Origin',
        'Upgrade',
        'Connection',
        'X-Any',
        'Sec-WebSocket-Key',
        'Sec-WebSocket-Protocol',
      ),
      fc.string({ unit: 'binary', maxLength: 20 }),
    );
    fc.assert(
      fc.property(
        fc.array(header, { maxLength: 4 }),
        fc.string({ maxLength: 20 }),
        (changes, path) => {
          const line = path.length > 10 ? `GET ${path} HTTP/1.1` : 'GET /mqtt HTTP/1.1';
          const request = Buffer.from(upgradeRequest(Object.fromEntries(changes), line), 'latin1');
          const { response, refusal } = answerUpgrade(request.toString('latin1'), LISTED);
          const isKnown =
            /^HTTP\/1\.1 \d{3} [A-Za-z ]+\r\n(?:[A-Za-z-]+: [A-Za-z0-9+/=. -]*\r\n)+\r\n$/;
          assert.match(response, isKnown);
          assert.match(refusal ?? '', /^[ -~]*$/);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
