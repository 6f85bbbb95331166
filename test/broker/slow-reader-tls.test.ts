/** What slow-reader.test.ts says, once more with all clients behind TLS. */
process.argv.push('--tls');
await import('./slow-reader.test.js');
