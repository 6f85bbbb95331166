/** Changes a file as a whole: whoever reads it finds the old one or the new one, never a part. */
import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { errorCode } from '../base/error-code.js';
import { ConfigError } from '../base/errors.js';

/** A new file is its owner's alone; of one that there is others lose what they could do with it. */
const NEW_MODE = 0o600;
const NOT_OTHERS = 0o770;

/**
 * Replaces a file's text by what `edit` makes of it. The new text is written beside it first, to a
 * file that also keeps others from editing it meanwhile.
 * @param isNew whether the file is begun anew, whatever it was.
 * @throws ConfigError when there is no such file, or somebody edits it; what `edit` throws.
 */
export async function editFile(
  path: string,
  isNew: boolean,
  edit: (text: string) => string | Promise<string>,
): Promise<void> {
  const target = await realpath(path).catch((error: unknown) => {
    if (isNew && errorCode(error) === 'ENOENT') return path;
    throw faultOf(path, error);
  });
  const draft = `${target}.new`;
  const file = await open(draft, 'wx', NEW_MODE).catch((error: unknown) => {
    throw faultOf(draft, error);
  });
  try {
    const before = isNew ? '' : await readFile(target, 'utf8');
    await file.writeFile(await edit(before));
    const earlier = await stat(target).catch(() => null);
    if (earlier !== null) {
      await file.chmod(isNew ? NEW_MODE : earlier.mode & NOT_OTHERS);
      // The broker's own user, where root edits its file. Others may not give files away.
      if (process.getuid?.() === 0) await file.chown(earlier.uid, earlier.gid);
    }
    await file.sync();
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

function faultOf(path: string, error: unknown): unknown {
  switch (errorCode(error)) {
    case 'ENOENT':
      return new ConfigError([`${path}: there is no such file; -c begins one`]);
    case 'EEXIST':
      return new ConfigError([`${path} is there: somebody edits the file, or has been stopped`]);
    default:
      return error;
  }
}
