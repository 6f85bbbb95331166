/** `surgemq sub`: subscribes and prints, with the flags of mosquitto_sub. */
import {
  Client,
  compileFilter,
  type Message,
  type Properties,
  type QoS,
  type SubscribeOptions,
  SubscribeRefusedError,
  type UnsubscribeOptions,
} from '../client/index.js';
import { isTopicFilter } from '../client/text.js';
import { RetainHandling } from '../protocol/v5/index.js';
import { type Flag, flagsHelp } from './args.js';
import { MessagePrinter, PRINT_FLAGS } from './message-printer.js';
import { CONNECTION_FLAGS, CommandLine, ExitCode, Reporter, readTarget } from './mqtt-command.js';

const FLAGS: readonly Flag[] = [
  {
    name: 'topic',
    short: 't',
    placeholder: 'filter',
    isRepeatable: true,
    summary: 'Topic filter to subscribe to. May be repeated.',
  },
  { name: 'qos', short: 'q', placeholder: 'qos', summary: 'QoS to subscribe with; default 0.' },
  ...PRINT_FLAGS,
  { name: 'count', short: 'C', placeholder: 'count', summary: 'Ends after so many messages.' },
  { name: 'timeout', short: 'W', placeholder: 'seconds', summary: 'Ends after so many seconds.' },
  {
    name: 'filter-out',
    short: 'T',
    placeholder: 'filter',
    isRepeatable: true,
    summary: 'Does not print messages that this filter matches. May be repeated.',
  },
  {
    name: 'unsubscribe',
    short: 'U',
    placeholder: 'filter',
    isRepeatable: true,
    summary: 'Unsubscribes from a filter of a kept session. May be repeated.',
  },
  { name: 'retain-as-published', summary: 'Messages keep their retain flag, in MQTT 5.0.' },
  {
    name: 'retain-handling',
    placeholder: 'when',
    summary: 'When retained messages come, in MQTT 5.0: always (default), new, never.',
  },
  { name: 'no-retained', short: 'R', summary: 'Does not print retained messages.' },
  { name: 'retained-only', summary: 'Prints retained messages, and ends at the first other one.' },
  {
    name: 'remove-retained',
    summary: 'Has the server forget each retained message that comes and that -T does not hide.',
  },
  {
    name: 'random-filter',
    placeholder: 'percent',
    summary: 'Prints only a part of the messages, by chance; default 100.',
  },
  { name: 'no-retry', summary: 'Ends when the first connection fails, instead of trying again.' },
  { name: 'exit-after-sub', short: 'E', summary: 'Ends when the subscriptions are made.' },
  ...CONNECTION_FLAGS,
];

const HELP = `Usage: surgemq sub {-t filter | -L url} [flags]

Subscribes and prints each message on a line.

${flagsHelp(FLAGS)}
`;

/** What is to be received and how it is printed. */
interface Job {
  readonly filters: readonly string[];
  readonly unwanted: readonly string[];
  /** Says whether `-T` hides a topic. */
  readonly filteredOut: readonly ((topic: string) => boolean)[];
  readonly qos: QoS;
  readonly printer: MessagePrinter;
  readonly removesRetained: boolean;
  /** Infinity: no end. */
  readonly count: number;
  /** 0: no end. */
  readonly timeoutMs: number;
  readonly hidesRetained: boolean;
  readonly isRetainedOnly: boolean;
  readonly exitsAfterSub: boolean;
  /** Beside the QoS. */
  readonly subscribeOptions: SubscribeOptions;
  readonly unsubscribeOptions: UnsubscribeOptions;
  readonly disconnectProperties: Properties | undefined;
  /** Share of the messages that is printed, 0 to 1. */
  readonly printedShare: number;
}

/** Runs the command. @returns exit code, as mosquitto_sub has it. */
export async function run(args: readonly string[]): Promise<number> {
  const line = new CommandLine(FLAGS, args);
  const reporter = new Reporter('sub', line);
  if (line.has('help')) {
    process.stdout.write(HELP);
    return ExitCode.ok;
  }
  const target = readTarget(line);
  const job = readJob(line, target.topic, reporter);
  if (line.faults.length > 0) return reporter.usage(line.faults);
  try {
    const reconnect = { initial: !line.has('no-retry') };
    const client = new Client(target.uri, { ...target.options, reconnect });
    return await new Receiver(client, job, reporter).run();
  } catch (error) {
    return reporter.failure(error);
  }
}

function readJob(line: CommandLine, urlTopic: string, reporter: Reporter): Job {
  const filters = [...line.all('topic'), ...(urlTopic === '' ? [] : [urlTopic])];
  if (filters.length === 0 && !line.has('unsubscribe')) {
    line.faults.push('You must specify a topic to subscribe to.');
  }
  const unwanted = line.all('unsubscribe');
  const filteredOut = line.all('filter-out');
  for (const filter of [...filters, ...unwanted, ...filteredOut]) {
    if (isTopicFilter(filter)) continue;
    line.faults.push(
      `Invalid subscription topic '${filter}', are all '+' and '#' wildcards correct?`,
    );
  }
  const isRetainedOnly = line.has('retained-only');
  if (isRetainedOnly && line.has('no-retained')) {
    line.faults.push('--retained-only and -R exclude each other');
  }
  return {
    filters,
    unwanted,
    filteredOut: filteredOut.filter(isTopicFilter).map(compileFilter),
    qos: line.qos('qos'),
    printer: new MessagePrinter(line, reporter),
    removesRetained: line.has('remove-retained'),
    count: line.number('count', 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY,
    timeoutMs: (line.number('timeout', 1, 2_000_000) ?? 0) * 1_000,
    hidesRetained: line.has('no-retained'),
    isRetainedOnly,
    exitsAfterSub: line.has('exit-after-sub'),
    subscribeOptions: subscribeOptionsOf(line),
    unsubscribeOptions: { userProperties: line.properties.unsubscribe?.userProperties },
    disconnectProperties: line.properties.disconnect,
    printedShare: readShare(line),
  };
}

/** Reads `--random-filter`. */
function readShare(line: CommandLine): number {
  const text = line.text('random-filter') ?? '100';
  const percent = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (percent > 0 && percent <= 100) return percent / 100;
  line.faults.push(`Invalid random-filter given: ${text}; allowed: above 0, to 100`);
  return 1;
}

/** Words of `--retain-handling`. */
const RETAIN_HANDLING: Readonly<Record<string, RetainHandling>> = {
  always: RetainHandling.always,
  new: RetainHandling.ifNew,
  never: RetainHandling.never,
};

/** Options of MQTT 5.0. */
function subscribeOptionsOf(line: CommandLine): SubscribeOptions {
  const { userProperties, subscriptionIdentifiers } = line.properties.subscribe ?? {};
  const word = line.text('retain-handling') ?? 'always';
  if (!Object.hasOwn(RETAIN_HANDLING, word)) {
    line.faults.push(`Invalid retain-handling given: ${word}; allowed: always, new, never`);
  }
  return {
    subscriptionIdentifier: subscriptionIdentifiers?.[0],
    userProperties,
    retainAsPublished: line.has('retain-as-published'),
    retainHandling: RETAIN_HANDLING[word],
  };
}

/** Bytes of payload that are printed at once. */
const LINES_BYTES = 64 * 1024;

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** One run of the command: until a count, a time, a signal or an error ends it. */
class Receiver {
  readonly #client: Client;
  readonly #job: Job;
  readonly #reporter: Reporter;
  #printed = 0;
  /** What is printed at the end of this turn: a system call a message would be the slowest part. */
  #lines: Uint8Array[] = [];
  #linesBytes = 0;
  #isEnded = false;
  #end: (exitCode: number) => void = () => {};
  #fail: (error: unknown) => void = () => {};

  constructor(client: Client, job: Job, reporter: Reporter) {
    this.#client = client;
    this.#job = job;
    this.#reporter = reporter;
  }

  /** @returns exit code. @throws what the client throws. */
  async run(): Promise<number> {
    const { timeoutMs } = this.#job;
    const ended = new Promise<number>((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
    const onSignal = (): void => this.#end(ExitCode.ok);
    for (const signal of SIGNALS) process.once(signal, onSignal);
    const timer = timeoutMs === 0 ? undefined : setTimeout(() => this.#onTimeout(), timeoutMs);
    this.#start().catch(this.#fail);
    try {
      return await ended;
    } finally {
      this.#isEnded = true;
      this.#flush();
      clearTimeout(timer);
      for (const signal of SIGNALS) process.off(signal, onSignal);
      this.#reporter.debug(`Client ${this.#client.clientId} sending DISCONNECT`);
      await this.#client.disconnect({
        drain: this.#job.removesRetained,
        properties: this.#job.disconnectProperties,
      });
    }
  }

  async #start(): Promise<void> {
    const client = this.#client;
    const { clientId } = client;
    // A kept session may have messages of filters that are not asked for now: they are printed too.
    client.on('message', (message) => this.#onMessage(message));
    client.on('error', (error) => this.#fail(error));
    // A server that is not there yet: said once, not at each attempt.
    let reason = '';
    client.on('reconnecting', ({ error: { message } }) => {
      if (client.state === 'connecting' && message !== reason) {
        this.#reporter.error(`${message}; trying again`);
      }
      reason = message;
    });
    client.on('disconnect', ({ error }) => {
      if (error !== null) this.#reporter.debug(`${error.message}; reconnecting`);
    });
    this.#reporter.debug(`Client ${clientId} sending CONNECT`);
    await client.connect();
    this.#reporter.debug(`Client ${clientId} received CONNACK (0)`);
    await this.#subscribe();
    if (this.#job.unwanted.length > 0) {
      this.#reporter.debug(`Client ${clientId} sending UNSUBSCRIBE`);
      const { unwanted, unsubscribeOptions } = this.#job;
      await client.unsubscribe(unwanted, unsubscribeOptions);
      this.#reporter.debug(`Client ${clientId} received UNSUBACK`);
    }
    if (this.#job.exitsAfterSub) this.#end(ExitCode.ok);
  }

  async #subscribe(): Promise<void> {
    const { filters, qos, subscribeOptions } = this.#job;
    if (filters.length === 0) return;
    const { clientId } = this.#client;
    for (const filter of filters) {
      this.#reporter.debug(`Client ${clientId} sending SUBSCRIBE (Topic: ${filter}, QoS: ${qos})`);
    }
    try {
      await this.#client.subscribe(filters, undefined, { ...subscribeOptions, qos });
      this.#reporter.debug(`Client ${clientId} received SUBACK`);
    } catch (error) {
      if (!(error instanceof SubscribeRefusedError)) throw error;
      const areAll = new Set(error.filters).size === new Set(filters).size;
      this.#reporter.error(
        areAll
          ? 'All subscription requests were denied.'
          : `Denied: ${error.filters.map((filter) => `'${filter}'`).join(', ')}`,
      );
      if (areAll) this.#end(ExitCode.failed);
    }
  }

  #onTimeout(): void {
    this.#reporter.error('Timed out');
    this.#end(ExitCode.timedOut);
  }

  #onMessage(message: Message): void {
    const { hidesRetained, isRetainedOnly, removesRetained, filteredOut, count, printedShare } =
      this.#job;
    if (this.#isEnded || this.#printed >= count) return;
    if (isRetainedOnly && !message.retain) {
      this.#isEnded = true;
      this.#end(ExitCode.ok);
      return;
    }
    if (filteredOut.some((isHidden) => isHidden(message.topic))) return;
    if (message.retain) {
      if (removesRetained) this.#removeRetained(message.topic);
      if (hidesRetained) return;
    }
    if (printedShare < 1 && Math.random() >= printedShare) return;
    this.#print(message);
    if (++this.#printed >= count) this.#end(ExitCode.ok);
  }

  /** Adds a message to what is printed. */
  #print(message: Message): void {
    const { payload } = message;
    const isFirst = this.#lines.length === 0;
    this.#lines.push(...this.#job.printer.print(message));
    this.#linesBytes += payload.length;
    if (this.#linesBytes >= LINES_BYTES) this.#flush();
    else if (isFirst) setImmediate(() => this.#flush());
  }

  #removeRetained(topic: string): void {
    this.#client.publish(topic, '', { qos: 1, retain: true }).catch((error: unknown) => {
      if (!this.#isEnded) this.#fail(error);
    });
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    process.stdout.write(Buffer.concat(this.#lines));
    this.#lines = [];
    this.#linesBytes = 0;
  }
}
