/** The Piscina task that runs one thread's share of the load generator's clients. */
import type { LoadReply, LoadTask } from '../bench/support/load.js';
import type { LoadCommand } from '../bench/support/load-plan.js';
import { LoadThread } from '../bench/support/load-thread.js';

/** Takes commands from its port until the other end closes it. */
export default async function loadTask({ share, port }: LoadTask): Promise<void> {
  const thread = new LoadThread(share);
  const answer = async (command: LoadCommand): Promise<LoadReply> => {
    try {
      return { answer: await thread.run(command) };
    } catch (error) {
      return { error: (error as Error).message };
    }
  };
  port.on('message', (command: LoadCommand) => {
    answer(command).then((reply) => port.postMessage(reply));
  });
  await new Promise((resolve) => port.once('close', resolve));
}
