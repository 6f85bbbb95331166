/**
 * An authenticator that answers what no authenticator should, by user name. What is in the table is
 * answered as it is; the rest says what it does.
 */
import type { Authenticator, AuthenticatorFactory } from '../../src/index.js';

/** What is no verdict. */
export const ODD_ANSWERS: Readonly<Record<string, unknown>> = {
  undefined: undefined,
  nobody: { username: 7 },
  everRule: { username: null, rules: [{ effect: 'allow' }] },
  notTime: { username: null, expiresAtMs: Number.NaN },
  zero: 0,
  one: 1,
  yes: 'yes',
  boxed: Object(true),
  symbol: Symbol('yes'),
  list: [true],
  verdict: { isAccepted: true },
  function: () => true,
};

type Settle = (value: unknown) => void;

function thenable(value: (settle: Settle, reject: Settle) => void): object {
  return Object.defineProperty({}, 'then', { value });
}

/** Things that have a `then` and keep none of a promise's rules. */
const MISBEHAVING: Readonly<Record<string, () => unknown>> = {
  throwing: () => {
    throw new Error('one\ntwo');
  },
  throwingNull: () => {
    throw null;
  },
  thenGetterThrows: () =>
    Object.defineProperty({}, 'then', {
      get() {
        throw new Error('not now');
      },
    }),
  usernameThrows: () =>
    Object.defineProperty({}, 'username', {
      get() {
        throw new Error('not now');
      },
    }),
  thenThrows: () =>
    thenable(() => {
      throw new Error('not now');
    }),
  thenAnswersOne: () =>
    thenable((settle) => {
      settle(1);
      settle(true);
    }),
  rejectsTwice: () =>
    thenable((settle, reject) => {
      reject(new Error('no'));
      reject(new Error('no'));
      settle(true);
    }),
  unprintable: () =>
    Promise.reject({
      toString() {
        throw new Error('no text');
      },
    }),
};
export const MISBEHAVIOURS = Object.keys(MISBEHAVING);

const oddAuthenticator: AuthenticatorFactory = (): Authenticator => ({
  authenticate({ username }) {
    const name = username ?? '';
    if (name === 'never') return new Promise(() => {});
    if (name.startsWith('later-')) {
      return Promise.resolve(ODD_ANSWERS[name.slice('later-'.length)]) as Promise<boolean>;
    }
    if (Object.hasOwn(MISBEHAVING, name)) return MISBEHAVING[name]() as boolean;
    return Object.hasOwn(ODD_ANSWERS, name) ? (ODD_ANSWERS[name] as boolean) : true;
  },
});

export default oddAuthenticator;
