/** Tidemark's verify beside a foreign judge: both must say the same, also of what is planted. */
import type { Finding } from '../../src/verify/verify.ts'
import type { Replica, Servers } from './places.ts'
import type { Program } from './programs.ts'
import { type Letters, rcloneJudge } from './rclone.ts'

interface Asked {
  replicas: Replica[]
  servers: Servers
  program: Program
  folder: string
  rclone: string
}

/** What they say differently, before and after differences of each kind are planted. */
export async function askBoth(asked: Asked): Promise<{ compared: number; problems: string[] }> {
  const { replicas, servers, folder, rclone } = asked
  const ask = rcloneJudge(rclone, servers, folder)
  const [first, ...others] = replicas as [Replica, ...Replica[]]
  const problems: string[] = []
  let compared = 0
  const compare = async (when: string): Promise<Letters> => {
    const ours = await verifyLetters(asked)
    const all: Letters = []
    for (const { name, place } of others) {
      const theirs = await ask(first.place, place)
      const own = (ours.get(name) ?? []).sort()
      compared += theirs.length
      all.push(...theirs)
      problems.push(
        ...own.filter((one) => !theirs.includes(one)).map((one) => `only verify: ${one}`),
        ...theirs.filter((one) => !own.includes(one)).map((one) => `only rclone: ${one}`),
      )
    }
    return all.map((line) => `${when} ${line}`)
  }
  await compare('before')
  const planted = await plant(others)
  const found = await compare('after')
  for (const line of planted) {
    if (!found.includes(`after ${line}`)) problems.push(`neither found what was planted: ${line}`)
  }
  return { compared, problems }
}

/** Other bytes of the same length, a key less, a key more: each at another replica. */
async function plant(replicas: Replica[]): Promise<Letters> {
  const [one, two, three] = replicas.map(({ place }) => place)
  if (!one || !two || !three) throw new Error('it takes four replicas')
  const key = 'still/0'
  const { bytes } = await one.get(key)
  await one.put(key, Buffer.from(bytes.map((byte) => byte ^ 1)))
  await two.remove('still/1')
  await three.put('still/planted', 'planted')
  return [`* ${key}`, '+ still/1', '- still/planted']
}

async function verifyLetters({ program }: Asked): Promise<Map<string, Letters>> {
  const said = await program.ask(['--json', 'verify', '--deep', '--all'])
  const [{ lines }] = JSON.parse(said.stdout) as [{ lines: Finding[] }]
  const letters = new Map<string, Letters>()
  for (const { replica, letter, key } of lines) {
    letters.set(replica, [...(letters.get(replica) ?? []), `${letter} ${key}`])
  }
  return letters
}
