/**
 * The README's table of settings, made from the table that the broker reads. By hand, after a
 * change of settings: `node dist/scripts/readme-settings.js` writes it into README.md; a test
 * compares the two.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CONFIG_SETTINGS } from '../src/base/settings-table.js';

const BEGIN = '<!-- settings: made by scripts/readme-settings.ts -->\n';
const END = '<!-- settings: end -->';

/** The table in Markdown, a line a setting. */
export function settingsTable(): string {
  const rows = Object.values(CONFIG_SETTINGS).map(
    ({ environment, flag, option, default: fallback, type, summary, restart }) => {
      const names = `\`${environment}\`<br>\`--${flag}\`<br>\`${option}\``;
      const start = restart === true ? ' Changed by a restart alone.' : '';
      return `| ${names} | \`${fallback}\` | ${summary} *${type.allowed}*${start} |\n`;
    },
  );
  const head = '| environment, flag, option | default | what it does, *what is allowed* |\n';
  return `${head}| --- | --- | --- |\n${rows.join('')}`;
}

/** A README with its table replaced. @throws Error when it has no place for one. */
export function withSettingsTable(readme: string): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin === -1 || end < begin) throw new Error('README.md has no marks for the settings');
  return readme.slice(0, begin + BEGIN.length) + settingsTable() + readme.slice(end);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const readme = new URL('../../README.md', import.meta.url);
  writeFileSync(readme, withSettingsTable(readFileSync(readme, 'utf8')));
}
