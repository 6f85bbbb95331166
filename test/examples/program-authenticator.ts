import { Server } from '../../src/index.js';

const passwords = new Map([['ada', 'lovelace']]);

export const server = new Server({
  authenticator: async ({ username, password }) => {
    const expected = passwords.get(username ?? '');
    return expected !== undefined && password?.toString() === expected;
  },
});
