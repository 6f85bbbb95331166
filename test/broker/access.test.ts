/** Who may do what: access rules, by an acl_file, and every way around them that was thought of. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Broker, startBroker, unique } from '../support/broker.js';
import { connack, connect, PINGREQ, pubcomp, publish, pubrec, pubrel } from '../support/packets.js';
import {
  ack5,
  connect5,
  filterAck5,
  parseSaid,
  prop,
  publish5,
  subscribe5,
} from '../support/packets5.js';
import type { RawClient } from '../support/raw-client.js';
import type { TestClient } from '../support/test-client.js';
import { eventually } from '../support/waiting.js';

const RULES = `
topic read public/#
user admin
topic #
topic read $SYS/#
user ann
topic readwrite flat/#
topic read news/+
topic deny flat/safe/#
topic write in/#
user bob
topic read flat/#
user narrow
topic readwrite one/two
pattern readwrite own/%u/%c
pattern read all/#
pattern deny all/hidden/%u
`;
const NOT_AUTHORIZED = 0x87;
const REFUSED = 0x80;

/** A broker with rules in a file that a test may replace. */
class RuledBroker {
  readonly #folder = mkdtempSync(join(tmpdir(), 'surgemq-acl-'));
  readonly file = join(this.#folder, 'acl');
  #broker: Broker | null = null;
  readonly #workers: number;

  constructor(workers: number) {
    this.#workers = workers;
  }

  get broker(): Broker {
    return this.#broker!;
  }

  async start(): Promise<void> {
    writeFileSync(this.file, RULES);
    this.#broker = await startBroker({
      workers: this.#workers,
      authenticator: 'mockSuccess',
      aclFile: this.file,
    });
  }

  async stop(): Promise<void> {
    await this.#broker?.close();
    rmSync(this.#folder, { recursive: true });
  }

  /** Other rules from here on. */
  async reload(rules: string): Promise<void> {
    writeFileSync(this.file, rules);
    await this.broker.server.reload();
  }

  /** A client of 3.1.1 with a user name. */
  client(username?: string, clientId: string = unique('c'), isKept = false): Promise<TestClient> {
    const name = username === undefined ? {} : { username };
    return this.broker.client({ clientId, cleanSession: !isKept, ...name });
  }

  /** A client of 5.0 with a user name. */
  async client5(username: string, clientId: string = unique('c')): Promise<RawClient> {
    const client = await this.broker.raw();
    client.send(connect5({ clientId, username, properties: prop.uint16(0x22, 10) }));
    assert.equal(parseSaid(await client.readPacket('CONNACK')).code, 0);
    return client;
  }

  get refused(): number {
    return this.broker.server.stats().refusedPublications;
  }

  get denied(): number {
    return this.broker.server.stats().deniedDeliveries;
  }
}

/** What a client has of these topics, sent by an admin one after another, up to a last message. */
async function deliveredOf(
  ruled: RuledBroker,
  reader: TestClient,
  last: string,
  topics: readonly string[],
): Promise<string[]> {
  const admin = await ruled.client('admin');
  for (const topic of topics) await admin.publish(topic, topic, { qos: 1 });
  const end = unique('end');
  await admin.publish(last, end, { qos: 1 });
  const messages = await reader.messagesUntil(end);
  return messages.map(({ topic }) => topic.toString());
}

for (const workers of [1, 2]) {
  describe(`access rules with ${workers} workers`, () => {
    const ruled = new RuledBroker(workers);
    before(() => ruled.start());
    after(() => ruled.stop());

    test('what may not be published is acknowledged, counted and goes nowhere', async () => {
      const reader = await ruled.client('admin');
      await reader.subscribe(['#', 2]);
      const ann = await ruled.client('ann');
      const { refused } = ruled;
      for (const qos of [0, 1, 2] as const) {
        await ann.publish('work/x', 'no', { qos });
        await ann.publish('flat/x', `yes ${qos}`, { qos });
        await ann.publish('flat/safe/x', 'no', { qos });
      }
      await ann.publishAll('work/y', ['no', 'no', 'no'], { qos: 1 });
      await ann.publish('flat/x', 'end', { qos: 1 });
      const payloads = (await reader.messagesUntil('end')).map(({ payload }) => payload);
      assert.deepEqual(payloads, ['yes 0', 'yes 1', 'yes 2']);
      assert.equal(ruled.refused - refused, 9);
      // Case matters, and no level is more or less.
      for (const topic of ['Flat/x', 'flat', '/flat/x', 'flat/safe', 'flat/safe/', 'flats/x']) {
        const before = ruled.refused;
        await ann.publish(topic, 'no', { qos: 1 });
        const isAllowed = topic === 'flat';
        assert.equal(ruled.refused - before, isAllowed ? 0 : 1, topic);
      }
    });

    test('the log says what is forbidden, to whom, at most once a second', async () => {
      const clientId = unique('logged');
      const ann = await ruled.client('ann', clientId);
      const lines = () =>
        ruled.broker.logs.filter(({ message }) => message === 'access rules forbid it');
      await eventually(() => {
        ann.raw.send(publish({ topic: 'work/log', payload: 'x' }));
        return lines().some(({ fields }) => fields.clientId === clientId);
      }, 'a line');
      const line = lines().find(({ fields }) => fields.clientId === clientId);
      assert.equal(line?.fields.username, 'ann');
      assert.equal(line?.fields.topic, 'work/log');
      assert.equal(line?.fields.action, 'publish');
    });

    // 3.4.2.1, 3.5.2.1
    test('a 5.0 client is told with the ack, and its packet id is free again', async () => {
      const ann = await ruled.client5('ann');
      ann.send(publish5({ topic: 'work/x', qos: 1, packetId: 7 }));
      await ann.expect(ack5(0x40, 7, NOT_AUTHORIZED));
      ann.send(publish5({ topic: 'work/x', qos: 2, packetId: 8 }));
      await ann.expect(ack5(0x50, 8, NOT_AUTHORIZED));
      const reader = await ruled.client('bob');
      await reader.subscribe(['flat/#', 2]);
      ann.send(publish5({ topic: 'flat/five', payload: 'yes', qos: 2, packetId: 8 }));
      await ann.expect(pubrec(8));
      ann.send(pubrel(8));
      await ann.expect(pubcomp(8));
      assert.equal((await reader.nextMessage()).payload, 'yes');
    });

    // 3.3.2.3.4
    test('an alias of an allowed topic opens no other, nor the other way around', async () => {
      const reader = await ruled.client('admin');
      await reader.subscribe(['#', 0]);
      const ann = await ruled.client5('ann');
      const alias = (value: number) => prop.uint16(0x23, value);
      const send = (topic: string, payload: string, id: number, value: number) =>
        ann.send(publish5({ topic, payload, qos: 1, packetId: id, properties: alias(value) }));
      send('flat/alias', 'one', 1, 1);
      send('', 'two', 2, 1);
      send('work/alias', 'no', 3, 1);
      send('', 'no', 4, 1);
      send('work/other', 'no', 5, 2);
      send('flat/alias', 'three', 6, 2);
      send('', 'end', 7, 2);
      const codes: number[] = [];
      for (let at = 0; at < 7; at++) {
        const packet = await ann.readPacket('PUBACK');
        codes.push(packet.length > 4 ? packet[4]! : 0);
      }
      assert.deepEqual(codes, [0, 0, NOT_AUTHORIZED, NOT_AUTHORIZED, NOT_AUTHORIZED, 0, 0]);
      const payloads = (await reader.messagesUntil('end')).map(({ payload }) => payload);
      assert.deepEqual(payloads, ['one', 'two', 'three']);
    });

    test('a filter is refused when nothing of it may be read', async () => {
      const ann = await ruled.client('ann');
      const filters: [string, number][] = [
        ['flat/x', 1],
        ['work/x', 1],
        ['#', 1],
        ['work/#', 1],
        ['flat/safe/+', 1],
        ['in/#', 1],
        ['$SYS/#', 1],
        ['$share/g/flat/#', 1],
        ['$share/g/work/#', 1],
        ['own/+/+', 1],
        ['own/bob/#', 1],
      ];
      const codes = await ann.subscribe(...filters);
      const no = REFUSED;
      assert.deepEqual(codes, [1, no, 1, no, no, no, no, 1, no, 1, no]);
      const ann5 = await ruled.client5('ann');
      ann5.send(subscribe5(1, filters));
      const no5 = NOT_AUTHORIZED;
      const codes5 = [1, no5, 1, no5, no5, no5, no5, 1, no5, 1, no5];
      await ann5.expect(filterAck5(0x90, 1, codes5));
    });

    test('a wider filter delivers what may be read, and nothing else', async () => {
      const topics = [
        'flat/x',
        'flat/safe/x',
        'work/x',
        'news/a',
        'news/a/b',
        'in/x',
        'all/x',
        'all/hidden/ann',
        'all/hidden/bob',
        'public/x',
        'own/ann/reader',
        'own/ann/other',
        'own/bob/reader',
      ];
      const expected = ['flat/x', 'news/a', 'all/x', 'all/hidden/bob', 'own/ann/reader'];
      for (const qos of [0, 1, 2]) {
        const clientId = qos === 0 ? 'reader' : 'reader';
        const ann = await ruled.client('ann', clientId);
        assert.deepEqual(await ann.subscribe(['#', qos], ['+/+', qos], ['flat/#', qos]), [
          qos,
          qos,
          qos,
        ]);
        assert.deepEqual(await deliveredOf(ruled, ann, 'flat/end', topics), expected);
        await ann.disconnect();
      }
      const anonymous = await ruled.client();
      await anonymous.subscribe(['#', 1]);
      assert.deepEqual(await deliveredOf(ruled, anonymous, 'public/end', topics), [
        'all/x',
        'all/hidden/ann',
        'all/hidden/bob',
        'public/x',
      ]);
    });

    test('what is retained is delivered to those who may read it', async () => {
      const admin = await ruled.client('admin');
      const topics = ['flat/kept', 'flat/safe/kept', 'work/kept', 'news/kept'];
      for (const topic of topics) await admin.publish(topic, topic, { qos: 1, retain: true });
      const ann = await ruled.client('ann');
      const { denied } = ruled;
      await ann.subscribe(['#', 1]);
      await ann.publish('flat/x', 'end', { qos: 1 });
      await ann.until(() => ann.messages.length >= 3, 'what is retained, and the end');
      const got = ann.messages.map(({ topic }) => topic.toString()).sort();
      assert.deepEqual(got, ['flat/kept', 'flat/x', 'news/kept']);
      assert.ok(ruled.denied - denied >= 2);
      // Nor can RETAIN leave something where one may not publish.
      await ann.publish('work/left', 'no', { qos: 1, retain: true });
      await ann.publish('work/kept', '', { qos: 1, retain: true });
      const other = await ruled.client('admin');
      await other.subscribe(['work/#', 1]);
      await other.publish('work/end', 'end', { qos: 1 });
      const kept = (await other.messagesUntil('end')).map(({ topic }) => topic.toString());
      assert.deepEqual(kept, ['work/kept']);
      for (const topic of topics) await admin.publish(topic, '', { qos: 1, retain: true });
    });

    test('a CONNECT with a will that may not be published is refused', async () => {
      const client = await ruled.broker.raw();
      const will = { topic: 'work/will', payload: 'no' };
      client.send(connect({ clientId: unique('w'), username: 'ann', will }));
      await client.expect(connack(false, 5));
      await client.expectClose();
      const client5 = await ruled.broker.raw();
      client5.send(connect5({ clientId: unique('w'), username: 'ann', will }));
      assert.equal(parseSaid(await client5.readPacket('CONNACK')).code, NOT_AUTHORIZED);
      await client5.expectClose();
      // What bridges leave at brokers that take it is nobody's, as ever.
      const state = { topic: '$SYS/broker/connection/b/state', payload: '0', retain: true };
      const bridge = await ruled.broker.raw();
      bridge.send(connect({ clientId: unique('w'), username: 'ann', will: state }), PINGREQ);
      await bridge.expect(connack(false, 0));
    });

    test('a will that may be published is', async () => {
      const reader = await ruled.client('bob');
      await reader.subscribe(['flat/#', 1]);
      const will = { topic: 'flat/will', payload: 'gone' };
      const ann = await ruled.broker.client({ clientId: unique('w'), username: 'ann', will });
      await ann.cut();
      assert.equal((await reader.nextMessage()).payload, 'gone');
    });

    test('names that are filters, or parts of paths, open nothing', async () => {
      const names = ['+', '#', 'ann/+', 'a#', 'bob/own', '+/+'];
      for (const name of names) {
        for (const [user, id] of [
          [name, unique('c')],
          ['ann2', name],
        ] as const) {
          const client = await ruled.client(user, id);
          const filters: [string, number][] = [
            ['own/#', 0],
            ['own/+/+', 0],
            [`own/${user}/${id}`, 0],
            ['all/#', 0],
          ];
          const codes = await client.subscribe(...filters);
          assert.ok(
            codes.every((code) => code === REFUSED),
            `${user} ${id}: ${codes}`,
          );
          const { refused } = ruled;
          await client.publish('own/bob/c', 'no', { qos: 1 });
          assert.equal(ruled.refused - refused, 1);
          await client.disconnect();
        }
      }
    });

    test('user names are compared as they are, case and all', async () => {
      for (const name of ['Ann', 'ann ', ' ann', 'ANN', '']) {
        const client = await ruled.client(name);
        assert.deepEqual(await client.subscribe(['flat/#', 0]), [REFUSED], JSON.stringify(name));
      }
    });

    test('nobody publishes below $SYS, whatever the rules say', async () => {
      const admin = await ruled.client('admin');
      assert.deepEqual(await admin.subscribe(['$SYS/#', 0], ['$SYS/broker/load', 0]), [0, 0]);
      const admin5 = await ruled.client5('admin');
      admin5.send(publish5({ topic: '$SYS/broker/load', payload: 'no', qos: 1, packetId: 1 }));
      await admin5.expect(ack5(0x40, 1, NOT_AUTHORIZED));
      await admin.ping();
      assert.deepEqual(admin.payloads, []);
    });

    test('the members of a group get what each may read', async () => {
      const group = unique('g');
      const ann = await ruled.client('ann');
      const bob = await ruled.client('bob');
      const admin = await ruled.client('admin');
      await ann.subscribe([`$share/${group}/#`, 1]);
      await bob.subscribe([`$share/${group}/#`, 1]);
      const topics = Array.from({ length: 30 }, (_, at) => [
        `flat/${at}`,
        `news/${at}`,
        `flat/safe/${at}`,
        `work/${at}`,
      ]).flat();
      for (const topic of topics) admin.raw.send(publish({ topic, payload: topic }));
      // Of a topic for each of them: what is before it has come.
      await admin.publish('news/end', 'ann', { qos: 1 });
      await admin.publish('flat/safe/end', 'bob', { qos: 1 });
      await ann.until(() => ann.payloads.includes('ann'), 'all of ann');
      await bob.until(() => bob.payloads.includes('bob'), 'all of bob');
      const of = (client: TestClient) => client.messages.map(({ topic }) => topic.toString());
      const both = [...of(ann), ...of(bob)].sort();
      const readable = topics.filter((topic) => !topic.startsWith('work/'));
      assert.deepEqual(both, [...readable, 'news/end', 'flat/safe/end'].sort());
      assert.ok(of(ann).every((topic) => /^(news\/|flat\/(?!safe))/.test(topic)));
      assert.ok(of(bob).every((topic) => topic.startsWith('flat/')));
    });

    test('a member with more of a name than a group keeps gets nothing of it', async () => {
      const group = unique('g');
      const long = await ruled.client('bob', 'b'.repeat(3_000));
      const bob = await ruled.client('bob');
      await long.subscribe([`$share/${group}/#`, 1]);
      await bob.subscribe([`$share/${group}/#`, 1]);
      const admin = await ruled.client('admin');
      for (let at = 0; at < 20; at++) await admin.publish('flat/x', `${at}`, { qos: 1 });
      await bob.nextMessages(20);
      assert.deepEqual(long.payloads, []);
    });

    test('what only an absent member of a group may read waits for it', async () => {
      const group = unique('g');
      const clientId = unique('kept');
      const ann = await ruled.client('ann', clientId, true);
      const bob = await ruled.client('bob');
      const admin = await ruled.client('admin');
      await ann.subscribe([`$share/${group}/#`, 1]);
      await bob.subscribe([`$share/${group}/#`, 1]);
      await ann.disconnect();
      const { denied } = ruled;
      for (let at = 0; at < 20; at++) {
        await admin.publish('news/wait', `news ${at}`, { qos: 1 });
        await admin.publish('flat/now', `flat ${at}`, { qos: 1 });
        await admin.publish('work/never', `work ${at}`, { qos: 1 });
      }
      await bob.nextMessages(20);
      assert.ok(bob.messages.every(({ topic }) => topic.toString() === 'flat/now'));
      await eventually(() => ruled.denied - denied >= 20, 'what nobody may read to be counted');
      const back = await ruled.client('ann', clientId, true);
      const expected = Array.from({ length: 20 }, (_, at) => `news ${at}`);
      await back.until(() => back.payloads.length >= 20, 'what has waited');
      assert.deepEqual(
        back.payloads.filter((payload) => payload.startsWith('news')),
        expected,
      );
    });
  });

  describe(`access rules that change, with ${workers} workers`, () => {
    const ruled = new RuledBroker(workers);
    before(() => ruled.start());
    after(() => ruled.stop());

    test('publishing, reading and subscriptions follow the rules of a reload', async () => {
      await ruled.reload('user ann\ntopic a/#\ntopic b/#\nuser admin\ntopic #\n');
      const ann = await ruled.client('ann');
      const ann5 = await ruled.client5('ann');
      const admin = await ruled.client('admin');
      await admin.subscribe(['#', 1]);
      await ann.subscribe(['a/#', 1], ['b/#', 1], ['#', 1]);
      ann5.send(publish5({ topic: 'b/1', payload: 'before', qos: 1, packetId: 1 }));
      await ann5.expect(ack5(0x40, 1, 0).subarray(0, 0));
      await ann.nextMessage();
      await ruled.reload('user ann\ntopic a/#\nuser admin\ntopic #\n');
      const { refused } = ruled;
      await ann.publish('b/1', 'after', { qos: 1 });
      assert.equal(ruled.refused - refused, 1);
      ann5.send(publish5({ topic: 'b/1', payload: 'after', qos: 1, packetId: 2 }));
      await admin.publish('b/1', 'of admin', { qos: 1 });
      await admin.publish('a/1', 'end', { qos: 1 });
      await ann.until(() => ann.payloads.includes('end'), 'the end');
      assert.ok(!ann.payloads.includes('of admin'));
      // The subscription is gone: when the rules are wide again nothing comes by it.
      const { subscriptions } = ruled.broker.server.stats();
      await eventually(() => ruled.broker.server.stats().subscriptions <= subscriptions, 'less');
    });

    const WIDE = 'user ann\ntopic a/#\ntopic b/#\nuser bob\ntopic a/#\nuser admin\ntopic #\n';
    const NARROW = 'user ann\ntopic a/#\nuser bob\ntopic a/#\nuser admin\ntopic #\n';

    test('what waits is passed over when it may not be read any more', async () => {
      for (const isSent of [false, true]) {
        await ruled.reload(WIDE);
        const clientId = unique('kept');
        const kept = { clientId, cleanSession: false, username: 'ann' };
        const ann = await ruled.broker.client({ ...kept, acknowledge: false });
        await ann.subscribe(['a/#', 1], ['b/#', 2]);
        if (!isSent) await ann.disconnect();
        const admin = await ruled.client('admin');
        const topics = ['a/1', 'b/1', 'b/2', 'a/2', 'b/3'];
        for (const topic of topics) await admin.publish(topic, topic, { qos: 2 });
        if (isSent) await ann.nextMessages(5);
        await ann.cut();
        const { denied } = ruled;
        await ruled.reload(NARROW);
        const back = await ruled.broker.client(kept);
        await admin.publish('b/4', 'no', { qos: 1 });
        await admin.publish('a/3', 'end', { qos: 1 });
        const got = (await back.messagesUntil('end')).map(({ topic }) => topic.toString());
        assert.deepEqual(got, ['a/1', 'a/2']);
        await eventually(() => ruled.denied - denied >= 3, 'what was passed over to be counted');
        await back.publish('a/4', 'alive', { qos: 2 });
        await back.disconnect();
      }
    });

    test('a session that another user takes over delivers what that one may read', async () => {
      await ruled.reload(WIDE);
      const clientId = unique('shared');
      const ann = await ruled.client('ann', clientId, true);
      await ann.subscribe(['#', 1]);
      await ann.disconnect();
      const admin = await ruled.client('admin');
      for (const topic of ['a/1', 'b/1', 'a/2']) await admin.publish(topic, topic, { qos: 1 });
      const bob = await ruled.client('bob', clientId, true);
      assert.ok(bob.sessionPresent);
      await admin.publish('b/2', 'no', { qos: 1 });
      await admin.publish('a/3', 'end', { qos: 1 });
      const got = (await bob.messagesUntil('end')).map(({ topic }) => topic.toString());
      assert.deepEqual(got, ['a/1', 'a/2']);
      // And back: the routes are hers again.
      const again = await ruled.client('ann', clientId, true);
      await admin.publish('b/3', 'hers', { qos: 1 });
      await again.messagesUntil('hers');
    });

    test('a subscription that the rules have taken away does not come back with them', async () => {
      await ruled.reload(WIDE);
      const ann = await ruled.client('ann');
      await ann.subscribe(['a/#', 1], ['b/1', 1], [`$share/${unique('g')}/b/#`, 1]);
      const { subscriptions } = ruled.broker.server.stats();
      await ruled.reload(NARROW);
      assert.equal(ruled.broker.server.stats().subscriptions, subscriptions - 2);
      await ruled.reload(WIDE);
      const admin = await ruled.client('admin');
      await admin.publish('b/1', 'no', { qos: 1 });
      await admin.publish('a/1', 'end', { qos: 1 });
      assert.deepEqual(await ann.messagesUntil('end'), []);
    });

    test('rules that cannot be read are refused, and those before stay', async () => {
      await ruled.reload(NARROW);
      await assert.rejects(ruled.reload('user ann\ntopic b/#\ntopc c\n'), /line 3: unknown word/);
      const ann = await ruled.client('ann');
      assert.deepEqual(await ann.subscribe(['b/#', 0], ['a/#', 0]), [REFUSED, 0]);
    });

    test('a delayed will is not published when its client may not any more', async () => {
      await ruled.reload(WIDE);
      const admin = await ruled.client('admin');
      await admin.subscribe(['#', 1]);
      const { refused } = ruled;
      for (const topic of ['b/will', 'a/will']) {
        const client = await ruled.broker.raw();
        const will = { topic, payload: topic, properties: prop.uint32(0x18, 60) };
        const expiry = prop.uint32(0x11, 1);
        client.send(connect5({ clientId: unique('w'), username: 'ann', will, properties: expiry }));
        assert.equal(parseSaid(await client.readPacket('CONNACK')).code, 0);
        await client.cut();
      }
      await ruled.reload(NARROW);
      // Their sessions end in a second, and their delays with them.
      await admin.until(() => admin.payloads.includes('a/will'), 'the will that may be');
      await eventually(() => ruled.refused - refused === 1, 'the other to be refused');
      assert.ok(!admin.payloads.includes('b/will'));
    });

    test('twenty clients of several classes get no more than they may, flat out', async () => {
      const rounds = 40;
      await ruled.reload(
        'topic read x/#\nuser ann\ntopic x/#\nuser bob\ntopic write x/#\ntopic read y\n' +
          'user eve\ntopic read y\npattern read end/#\nuser admin\ntopic #\n',
      );
      const admin = await ruled.client('admin');
      const classes = ['ann', 'bob', 'eve', undefined] as const;
      const clients = await Promise.all(
        Array.from({ length: 20 }, async (_, at) => {
          const user = classes[at % classes.length];
          const client = await ruled.client(user);
          await client.subscribe(['#', at % 3], ['+/+', 0]);
          return { user, client, at };
        }),
      );
      for (let round = 0; round < rounds; round++) {
        for (const { client, at } of clients) {
          const payload = `${at}:${round}`;
          const x = publish({ topic: 'x/1', payload });
          const many = Array.from({ length: 20 }, () => x);
          client.raw.send(...many, publish({ topic: 'y', payload }));
        }
      }
      for (const { client } of clients) await client.publish('y', 'done', { qos: 1 });
      await admin.publish('end/1', 'end', { qos: 1 });
      const writers = clients.filter(({ user }) => user === 'ann' || user === 'bob').length;
      for (const { user, client } of clients) {
        await client.until(() => client.payloads.includes('end'), 'the end');
        const topics = client.messages.map(({ topic }) => topic.toString());
        const mayReadX = user === 'ann' || user === undefined;
        assert.equal(
          topics.filter((topic) => topic === 'x/1').length,
          mayReadX ? writers * rounds * 20 : 0,
        );
        assert.ok(!topics.includes('y'));
      }
    });
  });
}
