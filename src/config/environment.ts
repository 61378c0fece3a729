/** The process environment, read here alone. Loads nothing, so that any module may ask. */

/** Value of an environment variable; undefined where it isn't set. */
export function variable(name: string): string | undefined {
  // `__proto__` and `constructor` are there for whoever asks.
  return Object.hasOwn(process.env, name) ? process.env[name] : undefined
}

/** All of it, for a process that we start, with a value for what isn't set. */
export function environmentWith(defaults: Record<string, string>): NodeJS.ProcessEnv {
  return { ...defaults, ...process.env }
}
