import type { AuthenticatorFactory } from '../../src/index.js';

const factory: AuthenticatorFactory = () => ({
  authenticate: ({ username, password }) =>
    username === 'ada' && password?.toString() === 'lovelace',
});
export default factory;
