import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { LogSink } from '../../../src/base/log-sink.js';

/** An output that takes `room` bytes and then fails with `code`. */
class Output {
  text = '';
  room = 0;
  code = 'EAGAIN';

  readonly take = (bytes: Buffer, offset: number): number => {
    const count = Math.min(this.room, bytes.length - offset);
    if (count === 0) throw Object.assign(new Error(this.code), { code: this.code });
    this.room -= count;
    this.text += bytes.toString('latin1', offset, offset + count);
    return count;
  };
}

function sinkOf(output: Output, bytesMax = 100): LogSink {
  const sink = new LogSink(output.take, bytesMax);
  sink.onLost = (lost) => sink.write(`lost ${lost}\n`);
  return sink;
}

test('a line is out when write returns, as long as the output takes it', () => {
  const output = new Output();
  output.room = 100;
  const sink = sinkOf(output);
  sink.write('one\n');
  assert.equal(output.text, 'one\n');
});

test('lines that are not taken wait, go on where they stopped, and keep their order', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const output = new Output();
  output.room = 2;
  const sink = sinkOf(output);
  for (const line of ['one\n', 'two\n', 'three\n']) sink.write(line);
  assert.equal(output.text, 'on');
  output.room = 4;
  t.mock.timers.tick(1_000);
  assert.equal(output.text, 'one\ntw');
  output.room = 100;
  t.mock.timers.tick(1_000);
  assert.equal(output.text, 'one\ntwo\nthree\n');
  assert.equal(sink.lost, 0);
});

for (const code of ['EAGAIN', 'ENOSPC', 'EIO', 'EPIPE', 'EBADF']) {
  test(`${code}: what does not fit is dropped, counted, and told where it is missing`, (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const output = new Output();
    output.code = code;
    const sink = sinkOf(output, 20);
    for (let n = 0; n < 1_000; n++) sink.write(`line ${n}\n`);
    assert.equal(sink.lost, 998);
    output.room = 1_000;
    t.mock.timers.tick(5_000);
    sink.write('after\n');
    assert.equal(output.text, 'line 0\nline 1\nlost 998\nafter\n');
    assert.equal(sink.lost, 0);
  });
}

test('an output that takes nothing is tried ever more rarely', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let tries = 0;
  const sink = new LogSink(() => {
    tries++;
    throw new Error('no');
  });
  sink.write('line\n');
  // A step at a time: the mock gives a timer that is set within a tick the time of the tick's end.
  for (let ms = 0; ms < 60_000; ms += 10) t.mock.timers.tick(10);
  assert.ok(tries >= 60 && tries < 75, `${tries} tries in a minute`);
});

test('the end waits for an output that is slow, and not for one that is gone', () => {
  const output = new Output();
  const sink = sinkOf(output, 6);
  for (let n = 0; n < 3; n++) sink.write('line\n');
  let looks = 0;
  mock.method(Atomics, 'wait', () => {
    looks++;
    output.room = 100;
    return 'timed-out';
  });
  sink.flushSync();
  mock.restoreAll();
  assert.equal(looks, 1);
  assert.equal(output.text, 'line\nlost 2\n');
  const gone = new Output();
  gone.code = 'EPIPE';
  const other = sinkOf(gone);
  other.write('line\n');
  other.flushSync(60_000);
  assert.equal(gone.text, '');
});
