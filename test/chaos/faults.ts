/** What may happen to one exchange with a store, drawn from a seeded dice. */
import type { Dice } from '../sync/world.ts'

export type StoreKind = 's3' | 'gcs' | 'azure'

/** `after`: so many bytes of the message pass before. */
export type Fault =
  /** The connection is reset while the request is on its way, or the reply. */
  | { kind: 'reset request' | 'reset reply'; after: number }
  /** The reply ends early, in order: FIN. */
  | { kind: 'truncate'; after: number }
  /** Nothing more is said, and the connection stays. */
  | { kind: 'half-open'; after: number }
  /** The reply waits. */
  | { kind: 'delay'; ms: number }
  /** The reply trickles: so many bytes at a time. */
  | { kind: 'slow body'; bytes: number; everyMs: number }
  /** The store did it, and nobody hears of it. */
  | { kind: 'reply lost' }
  /** Answered in the store's place, which hears nothing of it. */
  | { kind: 'answer'; name: string; reply: Buffer }

export type FaultName = Exclude<Fault['kind'], 'answer'> | string

const weights: Record<Fault['kind'], number> = {
  'reset request': 3,
  'reset reply': 3,
  truncate: 3,
  'half-open': 1,
  delay: 4,
  'slow body': 3,
  'reply lost': 4,
  answer: 6,
}

export function faultOf(dice: Dice, store: StoreKind, method: string): Fault {
  const kind = weighed(dice, weights)
  switch (kind) {
    case 'reset request':
    case 'reset reply':
    case 'truncate':
    case 'half-open':
      return { kind, after: bytesOf(dice) }
    case 'delay':
      return { kind, ms: 50 + dice.below(3_000) }
    case 'slow body':
      return { kind, bytes: 1 + dice.below(4_096), everyMs: 5 + dice.below(20) }
    case 'reply lost':
      return { kind }
    case 'answer':
      return { kind, ...dice.pick(answers(store, method)) }
  }
}

/** Before the first byte, in a head, in a small body, or deep in a large one. */
function bytesOf(dice: Dice): number {
  const most = dice.pick([1, 300, 5_000, 200_000, 10_000_000])
  return dice.below(most)
}

export function weighed<K extends string>(dice: Dice, all: Record<K, number>): K {
  const kinds = Object.keys(all) as K[]
  const lots = kinds.flatMap((kind) => Array<K>(all[kind]).fill(kind))
  return dice.pick(lots)
}

// ── answers in the store's place ────────────────────────────────────────────────────────────────

interface Answer {
  name: string
  reply: Buffer
}

function answers(store: StoreKind, method: string): Answer[] {
  const html = '<html><body><h1>Sign in to the network</h1></body></html>'
  const busy = [
    answer('503', 503, 'text/html', '<html><body>Service Unavailable</body></html>', method),
    ...throttling(store, method),
  ]
  if (method !== 'GET') return busy
  // What stands between us and the store may say anything; none of it is the store's absence. (Of
  // a HEAD's reply only the status is left: nothing tells such a one from the store's.)
  return [
    ...busy,
    answer("404 that isn't the store's", 404, 'text/html', html, method),
    answer('200 of a sign-in page', 200, 'text/html', html, method),
  ]
}

/** How each store says that it is asked too much. */
function throttling(store: StoreKind, method: string): Answer[] {
  if (store === 's3') {
    const xml = (code: string) =>
      `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code>` +
      '<Message>Please reduce your request rate.</Message></Error>'
    return [
      answer('SlowDown', 503, 'application/xml', xml('SlowDown'), method),
      answer('429', 429, 'application/xml', xml('TooManyRequests'), method),
    ]
  }
  if (store === 'gcs') {
    const json = (code: number, reason: string) =>
      JSON.stringify({ error: { code, message: reason, errors: [{ reason }] } })
    return [
      answer('429', 429, 'application/json', json(429, 'rateLimitExceeded'), method),
      answer('503', 503, 'application/json', json(503, 'backendError'), method),
    ]
  }
  const xml = '<?xml version="1.0" encoding="utf-8"?><Error><Code>ServerBusy</Code></Error>'
  return [
    answer('ServerBusy', 503, 'application/xml', xml, method, 'x-ms-error-code: ServerBusy\r\n'),
    answer('429', 429, 'application/xml', xml, method),
  ]
}

function answer(
  name: string,
  status: number,
  type: string,
  text: string,
  method: string,
  headers = '',
): Answer {
  const body = method === 'HEAD' ? '' : text
  const head =
    `HTTP/1.1 ${status} Of the proxy\r\ncontent-type: ${type}\r\n${headers}` +
    `content-length: ${Buffer.byteLength(text)}\r\n\r\n`
  return { name, reply: Buffer.from(head + body) }
}
