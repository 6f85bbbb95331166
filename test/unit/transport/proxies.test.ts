import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isProxyNetwork } from '../../../src/base/proxy-networks.js';
import { isProxy, proxyList } from '../../../src/transport/proxies.js';

describe('the list of proxies', () => {
  it('has addresses and networks of both kinds, and unix sockets where it names them', () => {
    const list = proxyList(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', '::1'])!;
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.1', '2001:db8:1::', '::1']) {
      assert.equal(isProxy(list, address), true, address);
    }
    for (const address of ['11.0.0.1', '192.0.2.2', '2001:db9::', '::2', '', '127.0.0.1']) {
      assert.equal(isProxy(list, address), false, address);
    }
    assert.equal(isProxy(proxyList(['unix'])!, ''), true);
    assert.equal(isProxy(proxyList(['unix'])!, '127.0.0.1'), false);
    assert.equal(isProxy(proxyList(['0.0.0.0/0'])!, '203.0.113.9'), true);
    assert.equal(proxyList([]), null);
  });

  it('takes nothing else', () => {
    for (const text of [
      '10.0.0.0/33',
      '::/129',
      'localhost',
      '10.0.0',
      '10.0.0.0/-1',
      '',
      '/8',
      '10.0.0.0/8/8',
    ]) {
      assert.equal(isProxyNetwork(text), false, text);
    }
    for (const text of ['10.0.0.0/0', '::1/128', '1.2.3.4', 'unix']) {
      assert.equal(isProxyNetwork(text), true, text);
    }
  });
});
