/** YAML in, validated datasets out. Start with `load.ts`. */
export * from './config.ts'
export { configDigest, parseStoredConfig, storedConfig } from './digest.ts'
export { configJsonSchema } from './json-schema.ts'
export { loadConfig } from './load.ts'
export { ConfigError, type Problem } from './problems.ts'
export { resolveReferences } from './references.ts'
export { checkStateFolder } from './roots.ts'
export { nextTimes, scheduleInWords } from './schedule.ts'
