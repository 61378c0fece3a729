/**
 * What a location of each type is configured with: the YAML's own spellings, strict keys. Apart
 * from the connectors, so that reading a config loads no vendor's SDK. `${env:…}` and `${file:…}`
 * are replaced in any string before a connector sees its options.
 */
import { z } from 'zod'

const text = z.string().min(1)
/** Under the root; '' is the whole of it. Taken literally: `config/` and `config` differ. */
const prefix = z.string().default('')
const endpoint = z.url({ protocol: /^https?$/ })

export const locationOptions = {
  file: z.strictObject({
    type: z.literal('file'),
    /** Relative to the config file. Must exist: Tidemark never makes a root. */
    path: text,
  }),
  s3: z.strictObject({
    type: z.literal('s3'),
    bucket: text,
    prefix,
    region: text.optional(),
    endpoint: endpoint.optional(),
    'path-style': z.boolean().optional(),
    'access-key-id': text.optional(),
    'secret-access-key': text.optional(),
    'session-token': text.optional(),
    profile: text.optional(),
    'storage-class': text.optional(),
    /** Kinds that need other settings than AWS; else read off the endpoint. */
    provider: z.enum(['aws', 'minio', 'r2', 'b2', 'wasabi', 'other']).optional(),
  }),
  gcs: z.strictObject({
    type: z.literal('gcs'),
    bucket: text,
    prefix,
    endpoint: endpoint.optional(),
    anonymous: z.boolean().default(false),
    'project-id': text.optional(),
    'key-file': text.optional(),
  }),
  'azure-blob': z.strictObject({
    type: z.literal('azure-blob'),
    container: text,
    prefix,
    /** One of: connection-string; account with the default credential; account with its key. */
    'connection-string': text.optional(),
    account: text.optional(),
    'account-key': text.optional(),
    'sas-token': text.optional(),
    endpoint: endpoint.optional(),
    /** ADLS Gen2: the account has a hierarchical namespace; its folders aren't keys. */
    hierarchical: z.boolean().default(false),
  }),
  memory: z.strictObject({
    type: z.literal('memory'),
    /** Locations of one process with the same store share their content. */
    store: text,
    prefix,
  }),
} as const

export type LocationType = keyof typeof locationOptions
export type OptionsOf<T extends LocationType> = z.infer<(typeof locationOptions)[T]>
export type LocationOptions = { [T in LocationType]: OptionsOf<T> }[LocationType]
