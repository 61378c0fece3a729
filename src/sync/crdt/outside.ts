/**
 * States from outside: any JSON at all. What isn't a state is a UserError that says where (a JSON
 * pointer); what is gets copied into records without a prototype, so that a name like `__proto__`
 * is a name like any other.
 */
import { UserError } from '../../errors.ts'

/** Gives a checked copy, or throws a UserError (`crdt-state`). `where`: a JSON pointer. */
export type FromOutside<T> = (json: unknown, where: string) => T

export function fail(where: string, expected: string): never {
  throw new UserError('crdt-state', `This is no state of a CRDT: expected ${expected}.`, {
    where: where || '/',
    next: 'Take the state from a replica that is in order; join brings the rest.',
  })
}

/** Its prototype holds nothing. Object.create(null) is the same, but V8 makes a hash table
 *  of each: joins take twice as long. */
const Bare = function Bare() {} as unknown as new () => Record<string, never>
Bare.prototype = Object.create(null)

/** A record that inherits nothing: every name can be looked up in it. */
export function record<T>(entries: Iterable<readonly [string, T]> = []): Record<string, T> {
  const made: Record<string, T> = new Bare()
  for (const [name, value] of entries) made[name] = value
  return made
}

export function isBare(one: Record<string, unknown>): boolean {
  for (const _ in one) return false
  return true
}

export function readRecord<T>(json: unknown, where: string, read: FromOutside<T>) {
  return record(
    readEntries(json, where).map(([name, value]): [string, T] => [
      name,
      read(value, `${where}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`),
    ]),
  )
}

/** An object of these names: no other, and none of the required ones missing. */
export function readFields<N extends string, O extends string = never>(
  json: unknown,
  where: string,
  required: readonly N[],
  optional: readonly O[] = [],
): { [name in N]: unknown } & { [name in O]?: unknown } {
  const names: string[] = [...required, ...optional]
  const found = record(readEntries(json, where))
  const odd = Object.keys(found).find((name) => !names.includes(name))
  if (odd !== undefined) fail(where, `nothing called ${JSON.stringify(odd)} here`)
  const missing = required.find((name) => !(name in found))
  if (missing !== undefined) fail(where, `${JSON.stringify(missing)} here`)
  return found as { [name in N]: unknown } & { [name in O]?: unknown }
}

function readEntries(json: unknown, where: string): [string, unknown][] {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) fail(where, 'an object')
  return Object.entries(json)
}

export function readText(json: unknown, where: string): string {
  return typeof json === 'string' ? json : fail(where, 'a string')
}

export function readNumber(json: unknown, where: string): number {
  return Number.isSafeInteger(json) ? (json as number) : fail(where, 'a whole number')
}

/** What a register holds: any JSON. */
export function readJson(json: unknown, where: string): unknown {
  if (json === undefined || typeof json === 'function') fail(where, 'a value of JSON')
  return json
}

/** No state nests deeper: 1,000 levels of a document, at most three of a state for each. */
const depthMax = 4_000

/** Everything that reads a state calls itself for what is nested in it. */
export function checkDepth(json: unknown): void {
  let level: unknown[] = [json]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthMax) fail('', `at most ${depthMax} levels`)
    const inner: unknown[] = []
    for (const value of level) {
      if (typeof value !== 'object' || value === null) continue
      for (const one of Object.values(value)) inner.push(one)
    }
    level = inner
  }
}
