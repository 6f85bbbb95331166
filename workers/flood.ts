/** A process of the load generator that floods a broker: commands and answers are its messages. */
import { type FloodCommand, FloodTask } from '../bench/support/flood-task.js';

const task = new FloodTask();

process.on('message', (command: FloodCommand) => {
  task.run(command).then(
    (answer) => process.send?.({ answer }),
    (error: Error) => process.send?.({ error: error.message }),
  );
});
// Whoever asked for the flood has gone.
process.on('disconnect', () => process.exit(0));
