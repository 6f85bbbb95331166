/** Asks for a password: unseen on a terminal, or the first line of what is piped in. */
import { createInterface } from 'node:readline';
import { UsageError } from './args.js';

const [END_OF_TEXT, END_OF_INPUT, BACKSPACE, DELETE] = ['\u0003', '\u0004', '\b', '\u007f'];

/**
 * The password for a user, typed twice.
 * @throws UsageError when the two are not the same, or none is given.
 */
export async function askPassword(name: string): Promise<string> {
  const { stdin } = process;
  if (!stdin.isTTY) return pipedPassword();
  const first = await typed(`Password of ${name}: `);
  const second = await typed('The same again: ');
  if (first !== second) throw new UsageError(['the two passwords are not the same']);
  return first;
}

/** One line, or two that are the same, as scripts give them to mosquitto_passwd. */
async function pipedPassword(): Promise<string> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: process.stdin })) lines.push(line);
  const [first = '', second = first] = lines;
  if (first !== second) throw new UsageError(['the two passwords are not the same']);
  return first;
}

/** A line from the terminal, which does not show it. */
function typed(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  stdin.resume();
  return new Promise((resolve, reject) => {
    let text = '';
    const end = (settle: () => void): void => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      settle();
    };
    const onData = (keys: string): void => {
      for (const key of keys) {
        if (key === '\r' || key === '\n') {
          end(() => resolve(text));
          return;
        }
        if (key === END_OF_TEXT || key === END_OF_INPUT) {
          end(() => reject(new UsageError(['no password was given'])));
          return;
        }
        if (key === BACKSPACE || key === DELETE) text = [...text].slice(0, -1).join('');
        else text += key;
      }
    };
    stdin.on('data', onData);
  });
}
