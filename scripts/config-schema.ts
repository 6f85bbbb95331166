/** Part of the build: the JSON schema of configuration files, which editors take by its path. */
import { writeFileSync } from 'node:fs';
import { configFileSchema } from '../src/base/config-file.js';

const file = new URL('../surgemq.schema.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(configFileSchema(), null, 2)}\n`);
