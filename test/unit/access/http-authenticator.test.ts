/** A web service that is asked who may connect: what it is told, what is made of its answers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FairQueue } from '../../../src/access/fair-queue.js';
import { HttpAuthenticator } from '../../../src/access/http-authenticator.js';
import { WEB_ANSWER_BYTES_MAX } from '../../../src/base/limits.js';
import { serveWeb, type WebService } from '../../support/web-service.js';

const WHO = {
  ...{ clientId: 'c', username: 'ada', password: Buffer.from('lovelace') },
  ...{ remoteAddress: '10.0.0.1', listener: 'tcp://127.0.0.1:1883', certificate: null },
};

function authenticatorOf(
  { url }: Pick<WebService, 'url'>,
  more: { timeoutMs?: number; cacheMs?: number; clock?: () => number } = {},
): HttpAuthenticator {
  const bounds = { atOnce: 9, atOncePerAddress: 9, waitingMax: 99, waitingPerAddressMax: 99 };
  const { timeoutMs = 5_000, cacheMs = 0, clock } = more;
  return new HttpAuthenticator({ url, timeoutMs, cacheMs }, new FairQueue(bounds), clock);
}

describe('a web service that decides about clients', () => {
  test('is told all that is known of a client', async () => {
    const asked: unknown[] = [];
    await using service = await serveWeb((body, respond) => {
      asked.push(JSON.parse(body));
      respond(200, '{"allow":true}');
    });
    const certificate = { commonName: 'ada', alternativeNames: ['a', 'b'] };
    const authenticator = authenticatorOf(service);
    await authenticator.authenticate({ ...WHO, certificate });
    await authenticator.authenticate({ ...WHO, username: null, password: null });
    await authenticator.authenticate({ ...WHO, password: Buffer.from('00ff', 'hex') });
    assert.deepEqual(asked, [
      { ...WHO, password: 'lovelace', certificate },
      { ...WHO, username: null, password: null },
      { ...WHO, password: null, passwordBase64: 'AP8=' },
    ]);
  });

  test('lets in, refuses, or leaves a client to others', async () => {
    const rule = { allow: ['read'], filter: 'a/#' };
    const cases: [object, unknown][] = [
      [{ allow: true }, { username: 'ada', expiresAtMs: null, rules: null }],
      [{ allow: false }, false],
      [{ allow: null }, null],
      [
        { allow: true, username: 'eve', expiresAt: 4_000_000_000, rules: [rule] },
        {
          ...{ username: 'eve', expiresAtMs: 4_000_000_000_000 },
          rules: [{ effect: 'allow', actions: ['read'], filter: 'a/#' }],
        },
      ],
      [
        { allow: true, username: null },
        { username: null, expiresAtMs: null, rules: null },
      ],
    ];
    for (const [answer, verdict] of cases) {
      await using service = await serveWeb((_, respond) => respond(200, JSON.stringify(answer)));
      assert.deepEqual(await authenticatorOf(service).authenticate(WHO), verdict);
    }
  });

  test('lets in nobody when it does not answer as it should', async () => {
    const answers: [number, string, Record<string, string>?][] = [
      [200, ''],
      [200, 'true'],
      [200, 'null'],
      [200, '{}'],
      [200, '{"allow":"yes"}'],
      [200, '{"allow":1}'],
      [200, '{"allow":true,"username":7}'],
      [200, '{"allow":true,"expiresAt":"soon"}'],
      [200, '{"allow":true,"rules":{}}'],
      [200, `{"allow":true,"more":"${'a'.repeat(WEB_ANSWER_BYTES_MAX)}"}`],
      [204, ''],
      [401, '{"allow":true}'],
      [500, '{"allow":true}'],
      [302, '{"allow":true}', { location: 'http://127.0.0.1:1/' }],
    ];
    for (const [status, body, headers] of answers) {
      await using service = await serveWeb((_, respond) => respond(status, body, headers));
      const answer = Promise.resolve(authenticatorOf(service).authenticate(WHO));
      await assert.rejects(answer, (error: Error) => {
        assert.ok(!/lovelace|ada|\n/.test(error.message), error.message);
        return true;
      });
    }
  });

  test('lets in nobody when it does not answer in time, or is not there', async () => {
    let url: string;
    {
      await using service = await serveWeb(() => {});
      ({ url } = service);
      const late = Promise.resolve(authenticatorOf(service, { timeoutMs: 100 }).authenticate(WHO));
      await assert.rejects(late, /not answer in time/);
    }
    await assert.rejects(Promise.resolve(authenticatorOf({ url }).authenticate(WHO)), /no web/);
  });

  test('is believed for a time about whom it let in, and in each of its words', async () => {
    let asked = 0;
    let allow = true;
    await using service = await serveWeb((_, respond) => {
      asked++;
      respond(200, JSON.stringify({ allow }));
    });
    let now = 0;
    const authenticator = authenticatorOf(service, { cacheMs: 1_000, clock: () => now });
    const admission = { username: 'ada', expiresAtMs: null, rules: null };
    assert.deepEqual(await authenticator.authenticate(WHO), admission);
    assert.deepEqual(await authenticator.authenticate(WHO), admission);
    assert.equal(asked, 1);
    await authenticator.authenticate({ ...WHO, password: Buffer.from('other') });
    await authenticator.authenticate({ ...WHO, clientId: 'd' });
    assert.equal(asked, 3);
    now = 1_001;
    allow = false;
    assert.equal(await authenticator.authenticate(WHO), false);
    allow = true;
    assert.deepEqual(await authenticator.authenticate(WHO), admission);
    assert.equal(asked, 5);
  });

  test('is asked again about whom it let in until now', async () => {
    let asked = 0;
    await using service = await serveWeb((_, respond) => {
      // The first is over as it comes.
      const expiresAt = asked++ === 0 ? 1 : 4_000_000_000;
      respond(200, JSON.stringify({ allow: true, expiresAt }));
    });
    const authenticator = authenticatorOf(service, { cacheMs: 60_000, clock: () => 0 });
    await authenticator.authenticate(WHO);
    const again = await authenticator.authenticate(WHO);
    assert.deepEqual(again, { username: 'ada', expiresAtMs: 4_000_000_000_000, rules: null });
    await authenticator.authenticate(WHO);
    assert.equal(asked, 2);
  });

  test('has the user name and password of its URL in a header', async () => {
    const { createServer } = await import('node:http');
    const server = createServer(({ headers, url }, response) =>
      response.end(
        JSON.stringify({ allow: headers.authorization === 'Basic YTpi' && url === '/x' }),
      ),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const authenticator = authenticatorOf({ url: `http://a:b@127.0.0.1:${port}/x` });
    assert.notEqual(await authenticator.authenticate(WHO), false);
    server.closeAllConnections();
    server.close();
  });
});
