/** What we wrote ourselves, read back damaged: by a disk, a loss of power, or somebody's editor. */
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isSigned, signHead } from '../../src/audit/heads.ts'
import { decodeBody, encodeBody } from '../../src/catalog/baseline-body.ts'
import { requestIn } from '../../src/cli/relay.ts'
import { UserError } from '../../src/errors.ts'
import type { BaselineRow, Version } from '../../src/model.ts'
import { packageVersion } from '../../src/package-root.ts'
import { lockState, readServer } from '../../src/temporal/lock.ts'
import { folder } from '../config/written.ts'
import { mutate, mutations } from './mutations.ts'

const version: Version = {
  run: 7,
  at: 1_714_979_289_000,
  origin: 'one',
  content: { size: 5, digests: { md5: '9dd4e461268c8034f5c8564e155c67a6' }, metadata: {} },
}
const row: BaselineRow = {
  key: 'k',
  rev: 3,
  head: version,
  holds: {
    one: { version, token: { id: 'e', at: 1 } },
    two: { version: { ...version, run: 6 }, token: { id: '7.2', unsettled: true }, drift: true },
    three: { version: { ...version, run: 5, content: null }, token: null },
  },
}

describe('a row of the baseline', () => {
  const body = Buffer.from(encodeBody(row))
  const read = (bytes: Buffer) => {
    try {
      return decodeBody('k', 3, bytes.toString())
    } catch (error) {
      if (error instanceof UserError && error.code === 'catalog-damaged') return null
      throw error
    }
  }

  it('is itself again', () => {
    expect(read(body)).toEqual(row)
  })

  it('cut short anywhere is damaged, and says whose it is', () => {
    for (let at = 0; at < body.length; at++) expect(read(body.subarray(0, at))).toBeNull()
    expect(() => decodeBody('the key', 3, '[')).toThrow(
      expect.objectContaining({ where: 'the key' }),
    )
  })

  it('mangled is damaged, or says another thing: no hold is half there', () => {
    const any = fc.property(mutations, (harm) => {
      const found = read(mutate(body, harm))
      if (found === null) return
      for (const { token, version: held } of [
        ...Object.values(found.holds),
        { token: null, version: found.head },
      ]) {
        expect(token === null || typeof token.id === 'string').toBe(true)
        expect([typeof held.run, typeof held.at, typeof held.origin]).toEqual([
          'number',
          'number',
          'string',
        ])
      }
    })
    fc.assert(any, { numRuns: 10_000 })
  })
})

describe('where a server is', () => {
  it.each([
    ...['', '{', 'null', '5', '[]', '"x"', '\0\0\0', '{"programs":5}', '{"programs":[null]}'],
    // To a signal, -1 is every process of the user.
    JSON.stringify({
      ...{ pid: 7, address: 'a', ui: 'b', self: { pid: 7, start: 's' } },
      programs: [{ pid: -1, start: null }],
    }),
  ])('damaged to %s says nothing, and keeps no server from starting', async (text) => {
    const state = folder()
    writeFileSync(join(state, 'server.json'), text)
    const lock = await lockState(state)
    writeFileSync(join(state, 'server.json'), text)
    await expect(readServer(state, 0)).rejects.toMatchObject({ code: 'state-in-use' })
    lock.release()
    expect(await readServer(state, 0)).toBeNull()
  })

  it('with something else in its lock is refused by a code', async () => {
    const state = folder()
    writeFileSync(join(state, 'server.lock'), 'not a lock')
    await expect(lockState(state)).rejects.toMatchObject({ code: 'lock-damaged' })
    await expect(readServer(state, 0)).rejects.toMatchObject({ code: 'lock-damaged' })
  })
})

describe('a signed head of the audit', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const head = { dataset: 'd', seq: 4, at: 5, digest: 'abc', signedAt: 6, by: 'me@here' }
  const text = Buffer.from(JSON.stringify(signHead(head, privateKey)))

  it('that was changed in anything that it says isn’t one', () => {
    const any = fc.property(mutations, (harm) => {
      let value: unknown
      try {
        value = JSON.parse(mutate(text, harm).toString())
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error
        return
      }
      if (isSigned(value, 'd', publicKey)) expect(value).toMatchObject(head)
    })
    fc.assert(any, { numRuns: 5_000 })
    fc.assert(fc.property(fc.anything(), (value) => !isSigned(value, 'd', publicKey)))
  })
})

describe('a line that a command line sends to the server', () => {
  const request = {
    ...{ version: packageVersion, command: 'sync', args: ['a'], options: { plan: true } },
    ...{ config: '/c', json: false, by: 'me@here', colour: true, terminal: true, columns: 80 },
  }

  it('is a whole request, or none', () => {
    expect(requestIn(JSON.stringify(request))).toEqual(request)
    const any = fc.property(mutations, (harm) => {
      const found = requestIn(mutate(Buffer.from(JSON.stringify(request)), harm).toString())
      if (found === null) return
      expect(Object.keys(request).filter((name) => !Object.hasOwn(found, name))).toEqual([])
      expect(found.args.every((one) => typeof one === 'string')).toBe(true)
    })
    fc.assert(any, { numRuns: 5_000 })
    fc.assert(fc.property(fc.json(), (line) => requestIn(line) === null))
  })
})
