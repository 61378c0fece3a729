/** The config's JSON Schema, draft-07, for editors. */
import { z } from 'zod'
import { configSchema } from './schema.ts'

export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema }) => {
      // A reference may stand for any of these, and only its value is a URL.
      if (jsonSchema.format === 'uri') delete jsonSchema.format
    },
  })
  return { title: 'tidemark.yaml', ...schema }
}
