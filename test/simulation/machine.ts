/**
 * Time, chance and turns of a simulated process. Whatever waits is known here: calls that are
 * parked at a point, timers, turns of the event loop; and the dice say who goes on. So one seed is
 * one run. `install` puts it in the place of Node's own clock, timers and randomness, before any
 * module of the engine is loaded.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import timersPromises from 'node:timers/promises'
import zlib from 'node:zlib'
import { type Dice, diceOf } from '../sync/world.ts'

/** Who does something: a worker process that may be killed, or what isn't one (alive for ever). */
export interface Owner {
  name: string
  alive: boolean
}

interface Parked {
  owner: Owner
  what: string
  /** ms that it takes. */
  takes: number
  go(): void
}

interface Timer {
  id: number
  at: number
  every: number | null
  owner: Owner
  fire(): void
}

/** Nothing can go on, or it goes on for ever: either is a fault of what is simulated. */
export class Stuck extends Error {
  override name = 'Stuck'
}

export const nobody: Owner = { name: 'world', alive: true }
export const owners = new AsyncLocalStorage<Owner>()

const realImmediate = setImmediate
const realNow = performance.now.bind(performance)

const stepsMax = 60_000
/** 2026-01-05, a Monday. */
const begin = Date.UTC(2026, 0, 5, 8)

export interface Machine {
  dice: Dice
  steps: number
  /** ms since the epoch. */
  now(): number
  advance(ms: number): void
  /** Parks until its turn comes; for ever where its owner is dead. */
  point(what: string, takes?: number): Promise<void>
  /** Turns until `done` has ended; gives or throws what it does. */
  drive<T>(done: Promise<T>): Promise<T>
  /** When no worker has anything under way, but for what waits for a timer. */
  idle(): Promise<void>
  /** Until nobody can go on without a step. */
  settle(): Promise<void>
  /** Asked after every turn; true: it let somebody go on. */
  watch(look: () => boolean): void
  trace(line: string): void
  /** sha256 of all that was traced. */
  digest(): string
}

let current: MachineState

interface MachineState {
  dice: Dice
  chance: Dice
  now: number
  steps: number
  /** How far picks stray from first come, first served; 0: never. */
  stray: number
  parked: Parked[]
  timers: Timer[]
  immediates: { owner: Owner; fire(): void }[]
  watchers: (() => boolean)[]
  timerIds: number
  hash: crypto.Hash
  lines: string[] | null
}

/** `stray` of a hundred picks are anybody's; the others are whoever waited longest. */
export function createMachine(
  seed: number,
  options: { stray: number; tell?: string[] | undefined },
): Machine {
  const state: MachineState = {
    dice: diceOf(seed),
    chance: diceOf(seed ^ 0x5bd1e995),
    now: begin,
    steps: 0,
    stray: options.stray,
    parked: [],
    timers: [],
    immediates: [],
    watchers: [],
    timerIds: 0,
    hash: crypto.createHash('sha256'),
    lines: options.tell ?? null,
  }
  current = state
  const machine: Machine = {
    dice: state.dice,
    get steps() {
      return state.steps
    },
    now: () => state.now,
    advance(ms) {
      state.now += ms
    },
    point(what, takes = 1) {
      const owner = owners.getStore() ?? nobody
      return new Promise((go) => {
        if (owner.alive) state.parked.push({ owner, what, takes, go })
      })
    },
    async drive(done) {
      let over = false
      const end = () => {
        over = true
      }
      done.then(end, end)
      for (;;) {
        await turn(state)
        if (over) return await done
        if (!step(state)) throw new Stuck('nothing can go on, and the run has not ended')
      }
    },
    idle() {
      return new Promise((ended) => {
        const look = () => {
          if (state.parked.some(({ owner }) => owner.alive && owner !== nobody)) return false
          state.watchers.splice(state.watchers.indexOf(look), 1)
          ended()
          return true
        }
        state.watchers.push(look)
      })
    },
    settle: () => turn(state),
    watch(look) {
      state.watchers.push(look)
    },
    trace(line) {
      state.hash.update(`${line}\n`)
      state.lines?.push(line)
    },
    digest: () => state.hash.copy().digest('hex'),
  }
  return machine
}

/** Until nobody can go on without a step. Nothing here waits for the outside: see `install`. */
async function turn(state: MachineState): Promise<void> {
  for (;;) {
    await new Promise((drained) => realImmediate(drained))
    const moved = [...state.watchers].filter((look) => look())
    const due = state.immediates
    if (due.length === 0 && moved.length === 0) return
    state.immediates = []
    for (const { owner, fire } of due) if (owner.alive) fire()
  }
}

/** false: there is nothing to do. */
function step(state: MachineState): boolean {
  if (++state.steps > stepsMax) throw new Stuck(`more than ${stepsMax} steps`)
  state.parked = state.parked.filter(({ owner }) => owner.alive)
  const { parked } = state
  const timer = nextTimer(state)
  if (timer && (timer.at <= state.now || parked.length === 0)) {
    fire(state, timer)
    return true
  }
  if (parked.length === 0) return false
  const strays = parked.length > 1 && state.dice.below(100) < state.stray
  const [picked] = parked.splice(strays ? state.dice.below(parked.length) : 0, 1) as [Parked]
  state.now += picked.takes
  picked.go()
  return true
}

function nextTimer(state: MachineState): Timer | undefined {
  let next: Timer | undefined
  state.timers = state.timers.filter(({ owner }) => owner.alive)
  for (const timer of state.timers) if (!next || timer.at < next.at) next = timer
  return next
}

function fire(state: MachineState, timer: Timer): void {
  state.now = Math.max(state.now, timer.at)
  if (timer.every === null) state.timers.splice(state.timers.indexOf(timer), 1)
  else timer.at = state.now + timer.every
  timer.fire()
}

function addTimer(ms: number, every: boolean, call: () => void): Timer {
  const wait = Math.max(1, ms)
  const timer: Timer = {
    id: ++current.timerIds,
    at: current.now + wait,
    every: every ? wait : null,
    owner: owners.getStore() ?? nobody,
    fire: AsyncLocalStorage.bind(call),
  }
  current.timers.push(timer)
  return timer
}

function dropTimer(timer: unknown): void {
  const at = current.timers.indexOf(timer as Timer)
  if (at >= 0) current.timers.splice(at, 1)
}

function sleep<T>(ms = 1, value?: T, options: { signal?: AbortSignal } = {}): Promise<T> {
  return new Promise((wake, fail) => {
    if (options.signal?.aborted) return fail(options.signal.reason)
    const timer = addTimer(ms, false, () => wake(value as T))
    options.signal?.addEventListener('abort', () => {
      dropTimer(timer)
      fail(options.signal?.reason)
    })
  })
}

function randomBytes(size: number): Buffer {
  return Buffer.from(Array.from({ length: size }, () => current.chance.below(256)))
}

/** Once, before the engine is loaded: from then on this process has no time of its own. */
export function install(): void {
  const set =
    (every: boolean) =>
    (call: (...given: unknown[]) => void, ms = 1, ...given: []) =>
      addTimer(ms, every, () => call(...given))
  const immediately = (call: (...given: unknown[]) => void, ...given: unknown[]) =>
    current.immediates.push({
      owner: owners.getStore() ?? nobody,
      fire: AsyncLocalStorage.bind(() => call(...given)),
    })
  Object.assign(globalThis, {
    setTimeout: set(false),
    setInterval: set(true),
    clearTimeout: dropTimer,
    clearInterval: dropTimer,
    setImmediate: immediately,
  })
  Date.now = () => current.now
  performance.now = () => current.now - begin
  Math.random = () => current.chance.below(2 ** 30) / 2 ** 30
  const uuid = () =>
    randomBytes(16)
      .toString('hex')
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  Object.assign(crypto, { randomBytes, randomUUID: uuid })
  Object.assign(timersPromises, {
    setTimeout: sleep,
    setImmediate: () => new Promise<void>((wake) => void immediately(() => wake())),
  })
  // In the thread pool they would end whenever they like.
  const atOnce =
    (work: (bytes: Buffer, options: object) => Buffer) =>
    (bytes: Buffer, given: unknown, then?: unknown) => {
      const done = (then ?? given) as (error: unknown, made?: Buffer) => void
      try {
        const made = work(bytes, typeof given === 'object' ? (given as object) : {})
        queueMicrotask(() => done(null, made))
      } catch (error) {
        queueMicrotask(() => done(error))
      }
    }
  Object.assign(zlib, {
    zstdCompress: atOnce(zlib.zstdCompressSync),
    zstdDecompress: atOnce(zlib.zstdDecompressSync),
  })
  syncBuiltinESMExports()
}

/** CPU's own clock, for figures: not the simulation's. */
export const stopwatch = realNow
