/**
 * `-D command property value` of mosquitto_pub and mosquitto_sub, and the names of MQTT 5.0's
 * properties on the command line. These flags take three or four words, which node's parseArgs does
 * not know: they are taken out before it.
 */
import { PacketType } from '../protocol/packet.js';
import {
  encodeProperties,
  PROPERTIES,
  type Properties,
  type PropertyHolder,
  type PropertyRule,
  PropertyType,
  Sender,
  type UserProperty,
  WILL_PROPERTIES,
} from '../protocol/v5/index.js';

/** What `-D` may be for. */
const HOLDERS: Readonly<Record<string, PropertyHolder>> = {
  connect: PacketType.connect,
  publish: PacketType.publish,
  subscribe: PacketType.subscribe,
  unsubscribe: PacketType.unsubscribe,
  disconnect: PacketType.disconnect,
  will: WILL_PROPERTIES,
};
export type PropertyCommand =
  | 'connect'
  | 'publish'
  | 'subscribe'
  | 'unsubscribe'
  | 'disconnect'
  | 'will';

/** Properties by command. */
export type PropertyFlags = { readonly [Command in PropertyCommand]?: Properties };

/** A property as the command line names it: `user-property`, `content-type` and so on. */
function flagName({ key }: PropertyRule): string {
  if (key === 'userProperties') return 'user-property';
  if (key === 'subscriptionIdentifiers') return 'subscription-identifier';
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

const RULES: ReadonlyMap<string, PropertyRule> = new Map(
  PROPERTIES.map((rule) => [flagName(rule), rule]),
);

/** The words without `-D` and what belongs to it, what it says, and what is wrong with it. */
export function takeProperties(args: readonly string[]): {
  readonly words: readonly string[];
  readonly properties: PropertyFlags;
  readonly faults: readonly string[];
} {
  const words: string[] = [];
  const faults: string[] = [];
  const properties: { [command: string]: Record<string, unknown> } = {};
  for (let at = 0; at < args.length; at++) {
    const word = args[at];
    if (word !== '-D' && word !== '--property') {
      words.push(word);
      continue;
    }
    const [command = '', name = '', value, second] = args.slice(at + 1, at + 5);
    const isPair = name === 'user-property';
    at += isPair ? 4 : 3;
    const fault =
      value === undefined || (isPair && second === undefined)
        ? `${word} needs: <command> <property> <value>, a user-property a name and a value`
        : add(properties, command.toLowerCase(), name, value, second);
    if (fault !== null) faults.push(fault);
  }
  return { words, properties, faults };
}

/** Adds one property. @returns what is wrong with it, or null. */
function add(
  all: { [command: string]: Record<string, unknown> },
  command: string,
  name: string,
  value: string,
  second = '',
): string | null {
  if (!Object.hasOwn(HOLDERS, command)) {
    return `Invalid command '${command}' for -D; allowed: ${Object.keys(HOLDERS).join(', ')}`;
  }
  const rule = RULES.get(name);
  if (rule === undefined) return `Invalid property name '${name}' for -D`;
  all[command] ??= {};
  const properties = all[command];
  const earlier = properties[rule.key];
  if (rule.key === 'userProperties') {
    properties.userProperties = [...((earlier as UserProperty[]) ?? []), [value, second]];
  } else {
    const read = readValue(rule, value);
    properties[rule.key] = rule.key === 'subscriptionIdentifiers' ? [read] : read;
  }
  // Its method may come behind it.
  if (rule.key === 'authenticationData' && properties.authenticationMethod === undefined) {
    return command === 'connect' ? null : `-D ${command}: no ${name} there`;
  }
  try {
    encodeProperties(properties, HOLDERS[command], Sender.client);
    return null;
  } catch (error) {
    return `-D ${command} ${name}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** A value as `Properties` has it; what is none is left for `encodeProperties` to refuse. */
function readValue(rule: PropertyRule, value: string): unknown {
  if (rule.type === PropertyType.utf8String) return value;
  if (rule.type === PropertyType.binaryData) return Buffer.from(value);
  if (rule.isBoolean) return value === '1' ? true : value === '0' ? false : value;
  return /^\d+$/.test(value) ? Number(value) : value;
}

/** Properties as `-F json` shows them: each by its name on the command line. */
export function shownProperties(properties: Properties): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const rule of PROPERTIES) {
    const value = properties[rule.key];
    if (value === undefined) continue;
    if (rule.key === 'userProperties') {
      shown['user-properties'] = Object.fromEntries(value as UserProperty[]);
    } else if (rule.key === 'subscriptionIdentifiers') {
      const identifiers = value as number[];
      shown[flagName(rule)] = identifiers.length === 1 ? identifiers[0] : identifiers;
    } else {
      shown[flagName(rule)] = Buffer.isBuffer(value) ? value.toString() : value;
    }
  }
  return shown;
}
