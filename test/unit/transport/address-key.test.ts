import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  addressKey,
  isLocalAddress,
  NO_ADDRESS,
  plainAddress,
} from '../../../src/transport/address-key.js';

describe('addressKey', () => {
  it('is the same for an IPv4 address and its form in IPv6', () => {
    assert.equal(addressKey('::ffff:198.51.100.7'), addressKey('198.51.100.7'));
    assert.equal(addressKey('::FFFF:198.51.100.7'), addressKey('198.51.100.7'));
    assert.notEqual(addressKey('198.51.100.7'), addressKey('198.51.100.8'));
    assert.notEqual(addressKey('255.255.255.255'), addressKey('127.255.255.255'));
  });

  it('is the same for all of an IPv6 /64 network, however they are written', () => {
    const network = addressKey('2001:db8:1:2::1');
    for (const address of [
      '2001:db8:1:2::',
      '2001:db8:1:2:ffff:ffff:ffff:ffff',
      '2001:0DB8:0001:0002:0:0:0:9',
      '2001:db8:1:2::192.0.2.1',
    ]) {
      assert.equal(addressKey(address), network, address);
    }
    for (const address of ['2001:db8:1:3::1', '2001:db8::1', '2001:db8:0:1:2::', '::2001:db8']) {
      assert.notEqual(addressKey(address), network, address);
    }
    assert.equal(addressKey('fe80::1%eth0'), addressKey('fe80::2'));
    assert.equal(addressKey('ffff:ffff:ffff:ffff::'), -1n, 'as signed 64 bits');
    assert.equal(addressKey('::1:2:3:4:5:6:7'), addressKey('0:1:2:3:0:0:0:0'));
    assert.equal(addressKey('1::2:3:4:5:192.0.2.1'), addressKey('1:0:2:3::'));
  });

  it('is none for what is no address', () => {
    for (const text of ['', 'localhost', '1.2.3', '1.2.3.4.5', ':::', 'unix', '2001:db8']) {
      assert.equal(addressKey(text), NO_ADDRESS, text);
    }
  });

  it('knows what is of this machine', () => {
    for (const address of ['127.0.0.1', '127.9.8.7', '::1', '::ffff:127.0.0.1', '']) {
      assert.equal(isLocalAddress(address), true, address);
    }
    for (const address of ['128.0.0.1', '::2', '::ffff:10.0.0.1', '127.evil', 'fe80::1']) {
      assert.equal(isLocalAddress(address), false, address);
    }
    assert.equal(plainAddress('::ffff:10.0.0.1'), '10.0.0.1');
    assert.equal(plainAddress('2001:db8::1'), '2001:db8::1');
  });
});
