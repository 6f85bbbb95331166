/** Node's setImmediate, for browsers: their timers wait for 4 ms, or for a second when hidden. */
const waiting: (() => void)[] = [];
/** What is used of a browser's MessagePort; Node's can wait without a reason to stay. */
interface Port {
  onmessage: (() => void) | null;
  unref?(): void;
}
const { port1, port2 } = new MessageChannel();
const port = port1 as unknown as Port;
port.onmessage = () => waiting.shift()?.();
port.unref?.();

/** Calls `callback` in a task of its own, as soon as may be. */
export function setImmediate(callback: () => void): void {
  waiting.push(callback);
  port2.postMessage(null);
}
