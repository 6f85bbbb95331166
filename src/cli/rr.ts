/** `surgemq rr`: a request and its response, with the flags of mosquitto_rr. */
import {
  Client,
  type Message,
  type Payload,
  type PublishProperties,
  type QoS,
  TimeoutError,
} from '../client/index.js';
import { isTopicName } from '../client/text.js';
import { type Flag, flagsHelp } from './args.js';
import { MessagePrinter, PRINT_FLAGS } from './message-printer.js';
import { fixedPayload, readSource, SOURCE_FLAGS } from './message-source.js';
import { CONNECTION_FLAGS, CommandLine, ExitCode, Reporter, readTarget } from './mqtt-command.js';

const FLAGS: readonly Flag[] = [
  { name: 'topic', short: 't', placeholder: 'topic', summary: 'Topic of the request.' },
  {
    name: 'response-topic',
    short: 'e',
    placeholder: 'topic',
    summary:
      'Topic of the response; default, in MQTT 5.0: one of its own, with correlation data. In ' +
      'MQTT 3.1.1 whoever responds has to know it.',
  },
  ...SOURCE_FLAGS,
  { name: 'qos', short: 'q', placeholder: 'qos', summary: 'QoS of both; default 0.' },
  ...PRINT_FLAGS,
  { name: 'no-retained', short: 'R', summary: 'A retained message is no response.' },
  { name: 'timeout', short: 'W', placeholder: 'seconds', summary: 'Waits no longer than this.' },
  ...CONNECTION_FLAGS,
];

const HELP = `Usage: surgemq rr -t topic [-e topic] {-m message | -f file | -s | -n} [flags]

Publishes a request, waits for its response and prints it. Speaks MQTT 5.0 by itself.

${flagsHelp(FLAGS)}
`;

/** What is asked, and how. */
interface Job {
  readonly topic: string;
  /** Empty: one of the client's own. */
  readonly responseTopic: string;
  readonly qos: QoS;
  readonly properties: PublishProperties;
  /** Milliseconds; 0 waits for ever. */
  readonly timeoutMs: number;
  readonly hidesRetained: boolean;
}

/** Runs the command. @returns exit code, as mosquitto_rr has it. */
export async function run(args: readonly string[]): Promise<number> {
  const line = new CommandLine(FLAGS, args);
  const reporter = new Reporter('rr', line);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return ExitCode.ok;
  }
  const target = readTarget(line, 5);
  const { topic, source } = readSource(line, target.topic);
  const printer = new MessagePrinter(line, reporter);
  const is5 = target.options.protocolVersion === 5;
  const job: Job = {
    topic,
    responseTopic: readResponseTopic(line, is5),
    qos: line.qos('qos'),
    properties: line.properties.publish ?? {},
    timeoutMs: (line.number('timeout', 1, 2_000_000) ?? 0) * 1_000,
    hidesRetained: line.has('no-retained'),
  };
  if (line.faults.length > 0) return reporter.usage(line.faults);
  try {
    const payload = (await fixedPayload(source, line)) ?? '';
    const client = new Client(target.uri, { ...target.options, reconnect: false });
    try {
      const response = await ask(client, job, payload, is5);
      process.stdout.write(Buffer.concat(printer.print(response)));
    } finally {
      await client.disconnect({ properties: line.properties.disconnect });
    }
    return ExitCode.ok;
  } catch (error) {
    if (!(error instanceof TimeoutError)) return reporter.failure(error);
    reporter.error('Timed out');
    return ExitCode.timedOut;
  }
}

function readResponseTopic(line: CommandLine, is5: boolean): string {
  const topic = line.text('response-topic') ?? '';
  if (topic === '' && !is5) line.faults.push('A response topic must be supplied: -e topic.');
  if (topic !== '' && !isTopicName(topic)) {
    line.faults.push(`Invalid response topic '${topic}', does it contain '+' or '#'?`);
  }
  if (topic !== '' && line.properties.publish?.responseTopic !== undefined) {
    line.faults.push('-e and -D publish response-topic exclude each other');
  }
  return topic || (line.properties.publish?.responseTopic ?? '');
}

/** Connects, asks and waits. @throws TimeoutError, and what the client throws. */
async function ask(client: Client, job: Job, payload: Payload, is5: boolean): Promise<Message> {
  const { topic, qos, timeoutMs, properties, responseTopic } = job;
  const signal = AbortSignal.timeout(timeoutMs === 0 ? 2_147_483_647 : timeoutMs);
  try {
    await client.connect({ signal });
    if (responseTopic === '') {
      return await client.request(topic, payload, { qos, properties, timeoutMs: 0, signal });
    }
    const given = is5 ? { properties: { ...properties, responseTopic } } : {};
    const response = new Promise<Message>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
      client.on('disconnect', ({ error }) => reject(error));
      const onMessage = (message: Message): void => {
        if (isResponse(message, job)) resolve(message);
      };
      client
        .subscribe(responseTopic, onMessage, { qos, signal })
        .then(() => client.publish(topic, payload, { qos, signal, ...given }))
        .catch(reject);
    });
    return await response;
  } catch (error) {
    // The time was up, whoever was waited for.
    throw signal.aborted ? new TimeoutError('no response in time') : error;
  }
}

/** Whether a message answers the request: a second one of the same client may be under way. */
function isResponse({ retain, properties }: Message, job: Job): boolean {
  if (retain && job.hidesRetained) return false;
  const { correlationData } = job.properties;
  return (
    correlationData === undefined || properties.correlationData?.equals(correlationData) === true
  );
}
