/** What scripts read: times as ISO 8601, whatever they are kept as. */

/** Of records; of a token, `at` is the store's own number, and may be no time. */
const timeNames = new Set([
  ...['at', 'since', 'startedAt', 'endedAt', 'openedAt', 'agreedAt', 'modifiedAt', 'usedAt'],
])
/** An audit row's, whose digest is over it as it is. */
const asItIs = 'detail'

/** A copy of plain data, in which they are. */
export function withIsoTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withIsoTimes)
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return value
  const isToken = 'id' in value && typeof value.id === 'string'
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => {
      const isTime = typeof one === 'number' && timeNames.has(name) && !isToken
      if (isTime) return [name, new Date(one).toISOString()]
      return [name, name === asItIs ? one : withIsoTimes(one)]
    }),
  )
}
