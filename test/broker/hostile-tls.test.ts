/** What hostile.test.ts says, once more with all clients behind TLS. */
process.argv.push('--tls');
await import('./hostile.test.js');
