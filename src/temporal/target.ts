/** Where Temporal is: by the command line, by the config, or the embedded server's own address. */
import { type Config, resolveReferences } from '../config/index.ts'
import type { TemporalTarget } from './connection.ts'

/** `address` (host:port) goes before the config's. Throws `config-unset-variable` and the like. */
export async function targetOf(config: Config, address: string | null): Promise<TemporalTarget> {
  const temporal = await resolveReferences(config.temporal)
  const target: TemporalTarget = {
    address: address ?? temporal.address ?? '127.0.0.1:7233',
    namespace: temporal.namespace,
  }
  if (temporal['api-key']) target.apiKey = temporal['api-key']
  if (typeof temporal.tls === 'boolean') target.tls = temporal.tls
  else if (temporal.tls) {
    const files = {
      caFile: temporal.tls['ca-file'],
      certFile: temporal.tls['cert-file'],
      keyFile: temporal.tls['key-file'],
      serverName: temporal.tls['server-name'],
    }
    target.tls = Object.fromEntries(Object.entries(files).filter(([, value]) => value))
  }
  return target
}
