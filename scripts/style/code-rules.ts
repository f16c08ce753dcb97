/**
 * Style rules about code that the linter has no rule for: casts and endless loops state their reason, time and chance are
 * injected, SQL lists its columns, classes hold state.
 */

import type { Node } from 'oxc-parser';
import { type Fault, faultAt, hasCommentBeside, type SourceFile } from './source-file.ts';

function isConst(node: Node): boolean {
  return node.type === 'TSTypeReference' && node.typeName.type === 'Identifier' && node.typeName.name === 'const';
}

/** A cast overrules the compiler: a comment beside it says why that is right. `as const` overrules nothing. */
export function castFaults(file: SourceFile): Fault[] {
  return file.nodes.flatMap((placed) => {
    const { node } = placed;
    if ((node.type !== 'TSAsExpression' && node.type !== 'TSTypeAssertion') || isConst(node.typeAnnotation)) return [];
    if (hasCommentBeside(file, placed)) return [];
    return [faultAt(file, node.typeAnnotation.start, 'cast', 'a cast without a comment beside it that gives the reason')];
  });
}

/** `while (true)` and `for (;;)` name their bound in a comment beside them. */
export function endlessLoopFaults(file: SourceFile): Fault[] {
  return file.nodes.flatMap((placed) => {
    const { node } = placed;
    const endless =
      (node.type === 'ForStatement' && node.test === null) ||
      (node.type === 'WhileStatement' && node.test.type === 'Literal' && node.test.value === true);
    if (!endless) return [];
    const head = { node: { ...node, end: node.start }, around: placed.around };
    return hasCommentBeside(file, head)
      ? []
      : [faultAt(file, node.start, 'endless-loop', 'a loop without a condition and without a comment that names its bound')];
  });
}

/** Folders whose code takes clock, chance and ids from its caller. */
const injected = /^src\/(event|cid|vsync|ingest|verify|reconcile|report|flow|ledger|runner|bridge|simulator|dict)\//;

/** `Date.now()`, `new Date()`, `Math.random()` and `randomUUID()` outside the places that inject them. */
export function injectionFaults(file: SourceFile): Fault[] {
  if (file.isTest || !injected.test(file.path)) return [];
  return file.nodes.flatMap(({ node }) => {
    const what = ambient(file, node);
    return what === null ? [] : [faultAt(file, node.start, 'injection', `${what}: clock, chance and ids are injected`)];
  });
}

function ambient(file: SourceFile, node: Node): string | null {
  if (
    node.type === 'NewExpression' &&
    node.arguments.length === 0 &&
    file.text.slice(node.callee.start, node.callee.end) === 'Date'
  ) {
    return 'new Date()';
  }
  if (node.type !== 'CallExpression') return null;
  const callee = file.text.slice(node.callee.start, node.callee.end);
  return ['Date.now', 'Math.random', 'randomUUID', 'crypto.randomUUID'].includes(callee) ? `${callee}()` : null;
}

/** The environment is read in one place; a convention of the system read elsewhere says so. Handing it on whole is not reading. */
export function environmentFaults(file: SourceFile): Fault[] {
  if (file.isTest || !file.path.startsWith('src/') || /^src\/(main|config)\.ts$/.test(file.path)) return [];
  return file.nodes.flatMap((placed) => {
    const { node, around } = placed;
    if (node.type !== 'MemberExpression' || file.text.slice(node.start, node.end) !== 'process.env') return [];
    if (around[0]?.type === 'SpreadElement' || hasCommentBeside(file, placed)) return [];
    return [faultAt(file, node.start, 'environment', 'process.env is read by src/main.ts and src/config.ts alone')];
  });
}

/** SQL lists its columns, and the program writes the time. */
export function sqlFaults(file: SourceFile): Fault[] {
  if (file.isTest || !file.path.startsWith('src/')) return [];
  return file.nodes.flatMap(({ node }) => {
    const text = literalText(node);
    if (text === null || !/\b(select|insert|update|delete|returning)\b/i.test(text)) return [];
    const faults: Fault[] = [];
    if (/\b(SELECT|RETURNING)\s+([a-z_]+\.)?\*/.test(text))
      faults.push(faultAt(file, node.start, 'sql-columns', 'SQL lists its columns; no *'));
    if (/\b(NOW\(\)|CURRENT_TIMESTAMP|CLOCK_TIMESTAMP\(\))/i.test(text)) {
      faults.push(faultAt(file, node.start, 'sql-time', 'times come from the injected clock, not from the database'));
    }
    return faults;
  });
}

function literalText(node: Node): string | null {
  if (node.type === 'TemplateElement') return node.value.raw;
  return node.type === 'Literal' && typeof node.value === 'string' ? node.value : null;
}

/** No class without state, no decorator. */
export function classFaults(file: SourceFile): Fault[] {
  return file.nodes.flatMap(({ node }) => {
    if (node.type === 'Decorator') return [faultAt(file, node.start, 'decorator', 'no decorators')];
    if (node.type !== 'ClassDeclaration' && node.type !== 'ClassExpression') return [];
    const hasState =
      node.superClass !== null || node.body.body.some((member) => member.type === 'PropertyDefinition' && !member.static);
    return hasState ? [] : [faultAt(file, node.start, 'class-without-state', 'a class without fields: use functions')];
  });
}

/** Errors of the type checker and gaps in the coverage are mended, not silenced. */
export function silencerFaults(file: SourceFile): Fault[] {
  return file.comments.flatMap((comment) => {
    const silencer = /@ts-(ignore|nocheck|expect-error)|(c8|v8|istanbul) ignore|node:coverage/.exec(comment.value)?.[0];
    return silencer === undefined ? [] : [faultAt(file, comment.start, 'silencer', `${silencer} silences a check`)];
  });
}
