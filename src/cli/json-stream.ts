/** One JSON value on standard output with a list that is too long to be held: it is streamed. */
import { withIsoTimes } from './iso-times.ts'
import type { Output } from './output.ts'

export interface JsonStream {
  /** Opens an object with these fields and, last, the list `name`. */
  begin(fields: Record<string, unknown>, name: string): Promise<void>
  item(value: unknown): Promise<void>
  /** Closes the list and the object; `fields` come behind the list. */
  end(fields?: Record<string, unknown>): Promise<void>
}

/** Writes nothing but in JSON mode. Waits for a reader that is slower. */
export function createJsonStream(output: Output): JsonStream {
  let items = 0
  const write = async (text: string) => {
    if (output.json) await output.write(text)
  }
  const fieldsOf = (fields: Record<string, unknown>) =>
    Object.entries(withIsoTimes(fields) as Record<string, unknown>)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  return {
    async begin(fields, name) {
      items = 0
      await write(`{${[...fieldsOf(fields), `${JSON.stringify(name)}:[`].join(',\n')}`)
    },
    async item(value) {
      await write(`${items++ > 0 ? ',' : ''}\n${JSON.stringify(withIsoTimes(value))}`)
    },
    async end(fields = {}) {
      const rest = fieldsOf(fields).map((field) => `,\n${field}`)
      await write(`${items > 0 ? '\n' : ''}]${rest.join('')}}\n`)
    },
  }
}
