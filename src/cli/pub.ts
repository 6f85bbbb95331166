/** `surgemq pub`: publishes, with the flags of mosquitto_pub. */
import { setTimeout as delay } from 'node:timers/promises';
import { CLIENT_SETTINGS } from '../base/limits.js';
import { Client, type Payload, type PublishProperties, type QoS } from '../client/index.js';
import { type Flag, flagsHelp } from './args.js';
import { fixedPayload, linesOf, readSource, SOURCE_FLAGS_WITH_LINES } from './message-source.js';
import { CONNECTION_FLAGS, CommandLine, ExitCode, Reporter, readTarget } from './mqtt-command.js';

const FLAGS: readonly Flag[] = [
  { name: 'topic', short: 't', placeholder: 'topic', summary: 'Topic to publish to.' },
  ...SOURCE_FLAGS_WITH_LINES,
  { name: 'qos', short: 'q', placeholder: 'qos', summary: 'QoS of the messages; default 0.' },
  { name: 'retain', short: 'r', summary: 'The server keeps the message for later subscribers.' },
  { name: 'repeat', placeholder: 'count', summary: 'Publishes -m, -f, -s or -n so many times.' },
  {
    name: 'repeat-delay',
    placeholder: 'seconds',
    summary: 'Time between two of them; default 0, decimals allowed.',
  },
  {
    name: 'max-inflight',
    short: 'M',
    placeholder: 'count',
    summary: `QoS 1 and 2 messages in flight; default ${CLIENT_SETTINGS.maxInflight.default}.`,
  },
  ...CONNECTION_FLAGS,
];

const HELP = `Usage: surgemq pub -t topic {-m message | -f file | -l | -s | -n} [flags]

Publishes messages.

${flagsHelp(FLAGS)}
`;

/** What is to be published. */
interface Job {
  readonly topic: string;
  readonly qos: QoS;
  readonly retain: boolean;
  /** Of `-D publish`; undefined without. */
  readonly properties: PublishProperties | undefined;
  /** Flag that says where the message comes from. */
  readonly source: string;
  readonly repeat: number;
  readonly repeatDelayMs: number;
}

/** Runs the command. @returns exit code, as mosquitto_pub has it. */
export async function run(args: readonly string[]): Promise<number> {
  const line = new CommandLine(FLAGS, args);
  const reporter = new Reporter('pub', line);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return ExitCode.ok;
  }
  const target = readTarget(line);
  const job = readJob(line, target.topic);
  const maxInflight = line.number('max-inflight', 1, CLIENT_SETTINGS.maxInflight.max);
  if (line.faults.length > 0) return reporter.usage(line.faults);
  try {
    const payload = await fixedPayload(job.source, line);
    const client = new Client(target.uri, {
      ...target.options,
      ...(maxInflight === undefined ? {} : { maxInflight, maxInflightQos2: maxInflight }),
      // A stream of lines goes on when the server comes back; a single message says that it failed.
      reconnect: job.source === 'stdin-line',
    });
    try {
      await publishAll(client, job, payload, reporter);
    } finally {
      reporter.debug(`Client ${client.clientId} sending DISCONNECT`);
      await client.disconnect({ properties: line.properties.disconnect });
    }
    return ExitCode.ok;
  } catch (error) {
    return reporter.failure(error);
  }
}

function readJob(line: CommandLine, urlTopic: string): Job {
  const { topic, source } = readSource(line, urlTopic);
  const delayText = line.text('repeat-delay') ?? '0';
  if (!/^\d+(\.\d+)?$/.test(delayText))
    line.faults.push(`Invalid repeat-delay given: ${delayText}`);
  return {
    topic,
    qos: line.qos('qos'),
    retain: line.has('retain'),
    properties: line.properties.publish,
    source,
    repeat: line.number('repeat', 1, Number.MAX_SAFE_INTEGER) ?? 1,
    repeatDelayMs: Number(delayText) * 1_000,
  };
}

async function publishAll(
  client: Client,
  job: Job,
  payload: Payload | null,
  reporter: Reporter,
): Promise<void> {
  reporter.debug(`Client ${client.clientId} sending CONNECT`);
  await client.connect();
  reporter.debug(`Client ${client.clientId} received CONNACK (0)`);
  const publisher = new Publisher(client, job, reporter);
  if (payload === null) {
    for await (const bytes of linesOf(process.stdin)) await publisher.publish(bytes);
  } else {
    for (let left = job.repeat; left > 0; left--) {
      await publisher.publish(payload);
      if (left > 1 && job.repeatDelayMs > 0) await delay(job.repeatDelayMs);
    }
  }
  await publisher.finish();
}

/** Publishes one message after the other, without waiting for the ack of each. */
class Publisher {
  readonly #client: Client;
  readonly #job: Job;
  readonly #reporter: Reporter;
  #unacknowledged = 0;
  #failure: unknown = null;
  #wake: (() => void) | null = null;

  constructor(client: Client, job: Job, reporter: Reporter) {
    this.#client = client;
    this.#job = job;
    this.#reporter = reporter;
  }

  /** Settles when another message may be published. @throws what an earlier one failed with. */
  async publish(payload: Payload): Promise<void> {
    const { topic, qos, retain, properties } = this.#job;
    const bytes = Buffer.byteLength(payload);
    const flags = `q${qos}, r${retain ? 1 : 0}`;
    const { clientId } = this.#client;
    this.#reporter.debug(
      `Client ${clientId} sending PUBLISH (${flags}, '${topic}', (${bytes} bytes))`,
    );
    const published = this.#client.publish(topic, payload, { qos, retain, properties });
    if (qos === 0) {
      await published;
      return;
    }
    this.#unacknowledged++;
    published.then(
      () => this.#settled(null),
      (error: unknown) => this.#settled(error),
    );
    await this.#until(CLIENT_SETTINGS.maxInflight.default * 2);
  }

  /** Settles when every message is acknowledged. @throws what one failed with. */
  async finish(): Promise<void> {
    await this.#until(0);
    if (this.#job.qos > 0) this.#reporter.debug('All messages acknowledged');
  }

  async #until(unacknowledgedMax: number): Promise<void> {
    while (this.#unacknowledged > unacknowledgedMax && this.#failure === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #settled(error: unknown): void {
    this.#unacknowledged--;
    this.#failure ??= error;
    this.#wake?.();
  }
}
