/**
 * Shapes of what a configuration file holds: mappings, lists, and values of the settings' kinds.
 * From a shape come the JSON schema, for editors and for the check of names and kinds, and the
 * values themselves.
 */
import type { JsonSchema, ValueType } from './value-type.js';

/** One value, judged by its kind. */
export interface ValueShape {
  readonly kind: 'value';
  readonly type: ValueType<unknown>;
  readonly summary: string;
  /** Not to be shown to whoever looks at a configuration. */
  readonly isSecret?: true;
}

/** A mapping with these names and no others. */
export interface MappingShape {
  readonly kind: 'mapping';
  readonly summary: string;
  readonly fields: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  /** One of these has to be there, and no other of them. */
  readonly oneOf?: readonly string[];
}

/** A list of the same. */
export interface ListShape {
  readonly kind: 'list';
  readonly summary: string;
  readonly item: Shape;
}

export type Shape = ValueShape | MappingShape | ListShape;

/** The JSON schema of a shape. */
export function schemaOf(shape: Shape): JsonSchema {
  const { summary: description } = shape;
  switch (shape.kind) {
    case 'value':
      return { ...shape.type.schema, description: `${description} Allowed: ${shape.type.allowed}` };
    case 'list':
      return { type: 'array', description, items: schemaOf(shape.item) };
    case 'mapping': {
      const { required, oneOf } = shape;
      return {
        type: 'object',
        description,
        properties: Object.fromEntries(
          Object.entries(shape.fields).map(([name, field]) => [name, schemaOf(field)]),
        ),
        additionalProperties: false,
        ...(required === undefined ? {} : { required: [...required] }),
        ...(oneOf === undefined ? {} : { oneOf: oneOf.map((name) => ({ required: [name] })) }),
      };
    }
  }
}

/** The shape at a JSON pointer; undefined where there is none. */
export function shapeAt(shape: Shape, pointer: readonly string[]): Shape | undefined {
  let at: Shape | undefined = shape;
  for (const name of pointer) {
    if (at === undefined || at.kind === 'value') return at;
    if (at.kind === 'list') at = at.item;
    else at = Object.hasOwn(at.fields, name) ? at.fields[name] : undefined;
  }
  return at;
}

/** Told of each value that is not allowed: where it is, and what. */
export type OnUnsound = (pointer: readonly string[], shape: ValueShape, given: unknown) => void;

/**
 * The values of a shape, each as its kind reads it. What is of another shape, has no place in it or
 * is not allowed is left out.
 */
export function readShape(
  shape: Shape,
  given: unknown,
  onUnsound: OnUnsound,
  pointer: readonly string[] = [],
): unknown {
  if (shape.kind === 'value') {
    const read = shape.type.read(given);
    if (read === undefined) onUnsound(pointer, shape, given);
    return read;
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given) !== isList(shape)) {
    return undefined;
  }
  if (shape.kind === 'list') {
    return (given as unknown[]).map((item, at) =>
      readShape(shape.item, item, onUnsound, [...pointer, String(at)]),
    );
  }
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(shape.fields, name)) continue;
    const read = readShape(shape.fields[name], value, onUnsound, [...pointer, name]);
    if (read !== undefined) values[name] = read;
  }
  return values;
}

function isList(shape: Shape): boolean {
  return shape.kind === 'list';
}
