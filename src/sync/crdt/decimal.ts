/** Exact sums of numbers as JSON spells them: no digit is lost to a double. */

/** Digits and powers of ten, beyond which a number isn't one that anybody counts with. */
const digitsMax = 1_000

/** `units` / 10^`scale`; the scale is 0 or more. */
interface Scaled {
  units: bigint
  scale: number
}

const number = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/

function scaledOf(text: string): Scaled | null {
  const [, sign = '', whole = '', fraction = '', power = '0'] = number.exec(text) ?? []
  const exponent = Number(power)
  if (whole === '' || text.length > digitsMax || Math.abs(exponent) > digitsMax) return null
  const units = BigInt(sign + whole + fraction)
  const scale = fraction.length - exponent
  return scale < 0 ? { units: units * 10n ** BigInt(-scale), scale: 0 } : { units, scale }
}

function textOf({ units, scale }: Scaled): string {
  const digits = `${units < 0n ? -units : units}`.padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '')
  return `${units < 0n ? '-' : ''}${whole}${fraction && '.'}${fraction}`
}

/** The one spelling of a number: no exponent, no zeros in front or behind. null: no such number. */
export function decimalOf(text: string): string | null {
  const scaled = scaledOf(text)
  return scaled && textOf(scaled)
}

/** Of decimals, in their one spelling. */
export function sumOf(decimals: Iterable<string>): string {
  let sum: Scaled = { units: 0n, scale: 0 }
  for (const text of decimals) {
    const one = scaledOf(text) ?? { units: 0n, scale: 0 }
    const scale = Math.max(sum.scale, one.scale)
    const units = ({ units, scale: own }: Scaled) => units * 10n ** BigInt(scale - own)
    sum = { units: units(sum) + units(one), scale }
  }
  return textOf(sum)
}

export function negated(decimal: string): string {
  if (decimal === '0') return decimal
  return decimal.startsWith('-') ? decimal.slice(1) : `-${decimal}`
}
