/**
 * Where a bucket is, who asks, and what its provider is like. Static keys with an endpoint need no
 * SDK (75 ms and 30 MB to load); everything else is asked of it, so that Tidemark finds what every
 * AWS tool finds: profiles, SSO, instance and web-identity roles, regions, partitions.
 */
import type { OptionsOf } from './options.ts'
import type { Address, Credentials, Target } from './s3-lean.ts'

type Options = OptionsOf<'s3'>
export type ProviderName = NonNullable<Options['provider']>

export interface Provider {
  /** Conditions on PutObject and CompleteMultipartUpload. */
  conditionalWrite: boolean
  conditionalDelete: boolean
  /** DELETE with If-Match of a missing key is a 404 there; others answer 204. */
  deleteTellsAbsence: boolean
  /** The headers for CopyObject's destination; null: it can't be made conditional. */
  copyConditions: { match: string; noneMatch: string } | null
  /** Ask it to keep checksums beside the object. Parts get Content-MD5 where it doesn't agree. */
  checksums: boolean
  /** Names are paths there: `a//b` and `a/../b` would be other keys, or none. */
  pathLike: boolean
  segmentBytesMax?: number
  /** As KeyRules has it. */
  forbidden?: { pattern: string; reason: string }
  sizeMax: number
  pathStyle: boolean
  /** Where neither the options nor the endpoint name one. */
  region: string | null
}

const TIB = 1024 ** 4
const DESTINATION = { match: 'if-match', noneMatch: 'if-none-match' }

/** What each is known to do. Where a condition would be ignored, it must not be relied on. */
export const PROVIDERS: Record<ProviderName, Provider> = {
  // Conditional copies since October, deletes since September 2025:
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
  aws: {
    conditionalWrite: true,
    conditionalDelete: true,
    deleteTellsAbsence: true,
    copyConditions: DESTINATION,
    checksums: true,
    pathLike: false,
    sizeMax: 50e12,
    pathStyle: false,
    region: null,
  },
  // DeleteObject ignores If-Match (minio/minio#21677); CopyObject knows the source's only.
  minio: {
    conditionalWrite: true,
    conditionalDelete: false,
    deleteTellsAbsence: false,
    copyConditions: null,
    checksums: true,
    pathLike: true,
    segmentBytesMax: 255,
    sizeMax: 5 * TIB,
    pathStyle: true,
    region: 'us-east-1',
  },
  // https://developers.cloudflare.com/r2/api/s3/conditional-operations/ and …/api/: no conditional
  // delete, CRC32C of parts only as a composite.
  r2: {
    conditionalWrite: true,
    conditionalDelete: false,
    deleteTellsAbsence: false,
    copyConditions: {
      match: 'cf-copy-destination-if-match',
      noneMatch: 'cf-copy-destination-if-none-match',
    },
    checksums: false,
    pathLike: false,
    sizeMax: 4.995 * TIB,
    pathStyle: true,
    region: 'auto',
  },
  // Answers conditional writes with 501 NotImplemented (lance-format/lance#5614).
  b2: {
    conditionalWrite: false,
    conditionalDelete: false,
    deleteTellsAbsence: false,
    copyConditions: null,
    checksums: false,
    pathLike: false,
    sizeMax: 10e12,
    pathStyle: true,
    region: null,
  },
  // Its documentation names no conditional writes, so none are relied on.
  wasabi: {
    conditionalWrite: false,
    conditionalDelete: false,
    deleteTellsAbsence: false,
    copyConditions: null,
    checksums: false,
    pathLike: false,
    sizeMax: 5 * TIB,
    pathStyle: true,
    region: 'us-east-1',
  },
  // versitygw, SeaweedFS, Ceph, OVHcloud …: writes and deletes are conditional there; CopyObject
  // ignores its destination's conditions (versitygw 1.8). Probing at prepare finds what isn't so.
  other: {
    conditionalWrite: true,
    conditionalDelete: true,
    deleteTellsAbsence: false,
    copyConditions: null,
    checksums: true,
    pathLike: true,
    // versitygw doesn't encode the names in its listing, and XML can't carry these.
    forbidden: {
      pattern: '[\\u0001-\\u0008\\u000b\\u000c\\u000e-\\u001f\\ufffe\\uffff]',
      reason: 'the name has control characters, which this store cannot list',
    },
    sizeMax: 5 * TIB,
    pathStyle: true,
    region: 'us-east-1',
  },
}

const HOSTS: [RegExp, ProviderName][] = [
  [/(^|\.)amazonaws\.com(\.cn)?$/, 'aws'],
  [/\.r2\.cloudflarestorage\.com$/, 'r2'],
  [/\.backblazeb2\.com$/, 'b2'],
  [/\.wasabisys\.com$/, 'wasabi'],
  [/(^|\.)min(\.)?io(\.|$)/, 'minio'],
]

function providerAt(url: string | undefined): ProviderName {
  if (!url) return 'aws'
  const { hostname } = new URL(url)
  return HOSTS.find(([pattern]) => pattern.test(hostname))?.[1] ?? 'other'
}

export interface Resolved extends Target {
  provider: ProviderName
  /** Who this place is: 'aws', or the endpoint. */
  place: string
  /** Names the credentials without telling them. */
  account: string
}

/** Throws what the SDK throws where no region, profile or endpoint can be found. */
export async function resolveTarget(options: Options): Promise<Resolved> {
  const found = await find(options)
  return { ...found, addressOf: (bucket) => siblingOf(found, options.bucket, bucket) }
}

async function find(options: Options): Promise<Omit<Resolved, 'addressOf'>> {
  const { endpoint, bucket } = options
  const provider = options.provider ?? providerAt(endpoint)
  const traits = PROVIDERS[provider]
  const pathStyle = options['path-style'] ?? (traits.pathStyle || !isLabel(bucket, endpoint))
  const region = options.region ?? regionOf(endpoint) ?? traits.region
  const keys = fixedKeys(options)
  const account = keys?.accessKeyId ?? `profile ${options.profile ?? 'default'}`
  if (endpoint && keys && region) {
    const address = addressOf(endpoint, bucket, pathStyle)
    return { ...address, provider, region, account, credentials: async () => keys }
  }

  const { S3Client, HeadBucketCommand } = await import('@aws-sdk/client-s3')
  const settings = {
    ...(region && { region }),
    ...(options.profile && { profile: options.profile }),
    forcePathStyle: pathStyle,
  }
  const client = new S3Client(settings)
  const chosen = region ?? (await client.config.region())
  const credentials = async (refresh: boolean) =>
    keys ?? client.config.credentials({ forceRefresh: refresh })
  if (endpoint) {
    const address = addressOf(endpoint, bucket, pathStyle)
    return { ...address, provider, region: chosen, account, credentials }
  }

  // Where the SDK would send a request: partitions, dual stack, FIPS, AWS_ENDPOINT_URL, profiles.
  // Asked of a client whose requests end in our hands, signed with keys that are nobody's.
  let sent: SdkRequest | undefined
  const asked = new S3Client({
    ...settings,
    credentials: { accessKeyId: 'nobody', secretAccessKey: 'nothing' },
    requestHandler: {
      handle: async (request: SdkRequest) => {
        sent = request
        return { response: { statusCode: 200, headers: {} } }
      },
    },
  })
  await asked.send(new HeadBucketCommand({ Bucket: bucket }))
  if (!sent) throw new Error('the SDK sent no request')
  const origin = `${sent.protocol}//${sent.hostname}${sent.port ? `:${sent.port}` : ''}`
  const path = sent.path.replace(/\/$/, '')
  const found = options.provider ?? providerAt(origin)
  const place = found === 'aws' ? 'aws' : origin
  return { origin, path, place, provider: found, region: chosen, account, credentials }
}

/** A bucket can't be put before an IP address, nor one with dots under a wildcard certificate. */
function isLabel(bucket: string, endpoint: string | undefined): boolean {
  const host = endpoint ? new URL(endpoint).hostname : ''
  return !bucket.includes('.') && !/^[\d.]+$|:/.test(host)
}

interface SdkRequest {
  protocol: string
  hostname: string
  port?: number
  path: string
}

function fixedKeys(options: Options): Credentials | undefined {
  const accessKeyId = options['access-key-id']
  const secretAccessKey = options['secret-access-key']
  const sessionToken = options['session-token']
  if (!accessKeyId || !secretAccessKey) return undefined
  return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) }
}

function addressOf(endpoint: string, bucket: string, pathStyle: boolean) {
  const url = new URL(endpoint)
  const base = url.pathname.replace(/\/+$/, '')
  const place = providerAt(endpoint) === 'aws' ? 'aws' : url.origin + base
  if (pathStyle) return { origin: url.origin, path: `${base}/${bucket}`, place }
  return { origin: `${url.protocol}//${bucket}.${url.host}`, path: base, place }
}

/** The same address with another bucket in it. */
function siblingOf({ origin, path }: Address, bucket: string, other: string): Address {
  if (path.endsWith(`/${bucket}`)) return { origin, path: path.slice(0, -bucket.length) + other }
  return { origin: origin.replace(`//${bucket}.`, () => `//${other}.`), path }
}

/** Named in the host by AWS, B2 and Wasabi: `s3.eu-west-1.…`. */
function regionOf(endpoint: string | undefined): string | null {
  const host = endpoint && new URL(endpoint).hostname
  const named = host?.match(/^s3[.-]([a-z]+-[a-z]+-\d+)\.(amazonaws|backblazeb2|wasabisys)\./)
  return named?.[1] ?? null
}
