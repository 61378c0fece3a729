/** Ways in which an answer is mangled on its way: by chance, and by who knows the format. */
import fc from 'fast-check'

/** One change. Places are fractions of the length, so that shrinking the truth keeps them. */
export interface Mutation {
  kind:
    | 'flip'
    | 'replace'
    | 'insert'
    | 'cut'
    | 'repeat'
    | 'swap'
    | 'truncate'
    | 'rename'
    | 'unname'
    | 'encode'
  at: number
  to: number
  pick: number
}

const kinds: Mutation['kind'][] = [
  ...['flip', 'replace', 'insert', 'cut', 'repeat', 'swap', 'truncate', 'rename', 'unname'],
  'encode',
] as Mutation['kind'][]

/** What is hostile to the readers of XML and JSON, and what they are made of. */
const snippets = [
  ...['&lol;', '&#0;', '&#xD800;', '&#x110000;', '&#99999999999;', '&amp', '&toString;', '&'],
  ...['<!--', '-->', '<![CDATA[', ']]>', '<!DOCTYPE x [<!ENTITY lol "lol">]>', '<?pi?>', '\0'],
  ...[
    '\ufeff',
    '\ufffd',
    '%',
    '%FF',
    '%2',
    '+',
    '"',
    '\\',
    '\\u0000',
    '\\ud800',
    '{',
    '}',
    '[',
    ']',
  ],
  ...[',', ':', 'null', '-1', '1e9', '0x10', ' ', '', '/', '..', '__proto__', 'constructor'],
  ...['<Contents>', '</Contents>', '<Key>', '</Key>', '</ListBucketResult>', '<a/>', '</a>'],
  ...['<Blob>', '</Blob>', '<Blobs/>', '</Blobs>', '<Properties>', '</EnumerationResults>'],
  ...['<IsTruncated>false</IsTruncated>', '<NextMarker/>', '"items":[],', '"nextPageToken":"x",'],
  ...['"__proto__":{},', '{"name":"p/zz"},', '<Contents></Contents>', '<Contents/>'],
].map((text) => Buffer.from(text))

export const mutations = fc.array(
  fc.record({
    kind: fc.constantFrom(...kinds),
    // Not biased: all would happen at the first byte.
    at: fc.noBias(fc.nat(9_999).map((n) => n / 10_000)),
    to: fc.noBias(fc.nat(9_999).map((n) => n / 10_000)),
    pick: fc.noBias(fc.nat(255)),
  }),
  { minLength: 1, maxLength: 2 },
)

export function mutate(bytes: Buffer, all: Mutation[]): Buffer {
  return all.reduce(one, bytes)
}

function one(bytes: Buffer, { kind, at, to, pick }: Mutation): Buffer {
  const place = Math.min(bytes.length - 1, Math.floor(at * bytes.length))
  // Near more often than far: a slice of a few bytes, or of about an element.
  const length = 1 + Math.floor(to ** 3 * Math.min(600, bytes.length))
  const [before, behind] = [bytes.subarray(0, place), bytes.subarray(place)]
  const slice = bytes.subarray(place, place + length)
  const snippet = snippets[pick % snippets.length] as Buffer
  switch (kind) {
    case 'flip':
      return Buffer.concat([
        before,
        Buffer.from([(bytes[place] ?? 0) ^ (1 << (pick % 8))]),
        behind.subarray(1),
      ])
    case 'replace':
      return Buffer.concat([before, Buffer.from([pick]), behind.subarray(1)])
    case 'insert':
      return Buffer.concat([before, snippet, behind])
    case 'cut':
      return Buffer.concat([before, behind.subarray(length)])
    case 'repeat':
      return Buffer.concat([before, slice, behind])
    case 'swap':
      return Buffer.concat([
        before,
        bytes.subarray(place + length, place + 2 * length),
        slice,
        bytes.subarray(place + 2 * length),
      ])
    case 'truncate':
      return before
    case 'rename':
      return renamed(bytes, at, (name) => `${name.slice(0, -1)}_`)
    case 'unname':
      return renamed(bytes, at, () => snippet.toString().replace(/\W/g, '') || 'x')
    default:
      return pick % 2
        ? Buffer.from(bytes.toString(), 'utf16le')
        : Buffer.from(bytes.toString(), 'latin1')
  }
}

/** Every tag, or every field, of one name. */
function renamed(bytes: Buffer, at: number, name: (old: string) => string): Buffer {
  const text = bytes.toString()
  const names = [
    ...new Set(
      [...text.matchAll(/(?:<\/?|")([\w-]+)(?=[\s/>]|":)/g)].map(([, found]) => found ?? ''),
    ),
  ]
  const old = names[Math.floor(at * (names.length - 1))]
  if (old === undefined) return bytes
  const pattern = new RegExp(`(<\\/?|")${old}(?=[\\s/>]|":)`, 'g')
  return Buffer.from(text.replace(pattern, (_, opened: string) => opened + name(old)))
}
