/** The process environment, read here alone. Loads nothing, so that any module may ask. */

/** Value of an environment variable; undefined where it isn't set. */
export function variable(name: string): string | undefined {
  return process.env[name]
}
