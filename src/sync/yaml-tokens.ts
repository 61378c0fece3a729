/** YAML's tokens, with a bound: the library recurses into what they make, and overflows the stack
 *  from 770 levels on; its time grows with the square of the depth. */
import { type CST, Lexer, Parser } from 'yaml'

export const yamlDepthMax = 500

/** `tooDeep`: where the text nests deeper than it may; then the tokens end there. */
export function yamlTokens(text: string): { tokens: CST.Token[]; tooDeep: number | null } {
  // It keeps a stack of its own, so that its depth can be watched.
  const parser = new Parser()
  const tokens: CST.Token[] = []
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme))
    if (parser.stack.length > yamlDepthMax) return { tokens, tooDeep: parser.offset }
  }
  return { tokens: [...tokens, ...parser.end()], tooDeep: null }
}
