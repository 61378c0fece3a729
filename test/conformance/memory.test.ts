import { randomUUID } from 'node:crypto'
import { create, memoryStore } from '../../connectors/memory.ts'
import { type StoreCode, StoreError } from '../../src/errors.ts'
import { conformance, suiteContext, type World } from './suite.ts'

function open(store: string, prefix = 'data/') {
  return create({ type: 'memory', store, prefix }, suiteContext('memory'))
}

async function failing(code: StoreCode) {
  const store = randomUUID()
  memoryStore(store).faults.push(({ location, operation, when }) => {
    if (when === 'before') throw new StoreError(code, 'a fault', { location, operation })
  })
  return open(store)
}

async function make(): Promise<World> {
  const name = randomUUID()
  const store = memoryStore(name)
  return {
    connector: await open(name),
    other: await open(name, 'elsewhere/'),
    putForeign: async (key, bytes, metadata) => void store.put(`data/${key}`, bytes, metadata),
    removeForeign: async (key) => store.remove(`data/${key}`),
    wrongCredentials: () => failing('denied'),
    unreachable: () => failing('unavailable'),
    async missingRoot() {
      const gone = randomUUID()
      memoryStore(gone).missing = true
      return open(gone)
    },
    async keepingVersions() {
      store.versioned = true
      return {
        connector: await open(name),
        async removeVersion(key, version) {
          store.versions.get(`data/${key}`)?.delete(version)
        },
      }
    },
    leftovers: async () => [...store.uploads.keys()],
    partsSent: () => store.partsSent,
    close: async () => {},
  }
}

conformance({ name: 'memory', make })
