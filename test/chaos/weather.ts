/** What goes wrong around a session, drawn from its dice: proxies that harm, processes killed. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dice } from '../sync/world.ts'
import type { FaultProxy } from './fault-proxy.ts'
import { weighed } from './faults.ts'
import type { Program } from './programs.ts'

/** Of a thousand exchanges so many are harmed. */
const rates = { calm: 0, breeze: 20, gale: 80, storm: 250 } as const

export interface Harm {
  kills: Record<string, number>
  outages: number
}

export interface Around {
  proxies: FaultProxy[]
  program: Program
  workers: number
  /** null: the catalog is SQLite. */
  postgres: { kill(): Promise<void> } | null
}

/** Until `signal`: every few seconds one proxy's weather changes. */
export async function changeWeather(
  { proxies }: Around,
  harm: Harm,
  dice: Dice,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const proxy = dice.pick(proxies)
    const kind = weighed(dice, { calm: 2, breeze: 5, gale: 5, storm: 2, outage: 1 })
    if (kind === 'outage') {
      harm.outages++
      proxy.down = true
      await pause(1_000 + dice.below(6_000), signal)
      proxy.down = false
    } else proxy.rate = rates[kind]
    await pause(500 + dice.below(3_000), signal)
  }
}

const victims = {
  'a worker': 8,
  'all workers': 2,
  'a frozen worker': 3,
  temporal: 4,
  up: 2,
  postgres: 4,
} as const

/** Until `signal`: now and then somebody is killed, or frozen for longer than a heartbeat. */
export async function kill(
  around: Around,
  harm: Harm,
  dice: Dice,
  signal: AbortSignal,
): Promise<void> {
  const { program, workers, postgres } = around
  const aWorker = () => `worker-${1 + dice.below(workers)}`
  const tell = (name: string, happened: boolean) => {
    if (happened) harm.kills[name] = (harm.kills[name] ?? 0) + 1
  }
  await pause(2_000, signal)
  while (!signal.aborted) {
    const victim = weighed(dice, victims)
    switch (victim) {
      case 'a worker':
        tell(victim, program.signal(aWorker(), 'SIGKILL'))
        break
      case 'all workers':
        for (let n = 1; n <= workers; n++) tell(victim, program.signal(`worker-${n}`, 'SIGKILL'))
        break
      case 'a frozen worker': {
        const name = aWorker()
        tell(victim, program.signal(name, 'SIGSTOP'))
        await pause(4_000 + dice.below(8_000), signal)
        program.signal(name, 'SIGCONT')
        break
      }
      case 'postgres':
        if (postgres === null) continue
        await postgres.kill()
        tell(victim, true)
        break
      default:
        tell(victim, program.signal(victim, 'SIGKILL'))
    }
    // A slow machine takes longer to be up again: something must get done in between.
    const began = performance.now()
    await program.ask(['status'])
    await pause(3_000 + dice.below(12_000) + 3 * (performance.now() - began), signal)
  }
}

export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
