/** The JSON Schema for editors takes what `loadConfig` takes; zod reads it back for the test. */
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { configJsonSchema } from '../../src/config/index.ts'
import { sample } from './written.ts'

const schema = configJsonSchema()
const editor = z.fromJSONSchema(schema as z.core.JSONSchema.JSONSchema)
const takes = (yaml: string) => editor.safeParse(parse(yaml)).success

describe('the JSON Schema', () => {
  it('is draft-07', () => {
    expect(schema.$schema).toBe('http://json-schema.org/draft-07/schema#')
  })

  it('takes the sample', () => {
    expect(editor.safeParse(parse(sample)).error).toBeUndefined()
  })

  it('takes a reference where a URL is asked for', () => {
    expect(takes(sample.replace('"http://127.0.0.1:7070"', '"${' + 'env:ENDPOINT}"'))).toBe(true)
  })

  it('refuses unknown keys, types and words', () => {
    expect(takes(`${sample}sincronization: {}\n`)).toBe(false)
    expect(takes(sample.replace('type: gcs', 'type: gcp'))).toBe(false)
    expect(takes(sample.replace('two-way', 'both-ways'))).toBe(false)
    expect(takes(sample.replace('batch-size: 1000', 'batch-size: many'))).toBe(false)
  })
})
