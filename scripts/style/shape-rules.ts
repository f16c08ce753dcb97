/** Style rules about names, sizes and comments: what makes a file easy to find and to hold in one's head. */

import type { Function as FunctionNode, Node } from 'oxc-parser';
import { type Fault, faultAt, type Placed, type SourceFile } from './source-file.ts';

const fileLinesMax = 400;
const functionLinesMax = 70;
const kebab = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const emptyNames = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'manager', 'base', 'misc', 'shared']);

/** Folder and file names: kebab-case nouns of the field, none of the words that say nothing. */
export function nameFaults(path: string): Fault[] {
  const bare = path.replace(/(\.(test|postgres|d))*\.[a-z]+$/, '');
  return bare.split('/').flatMap((part) => {
    const faults: string[] = [];
    if (!kebab.test(part)) faults.push(`"${part}" is not kebab-case`);
    const word = part.split('-').find((piece) => emptyNames.has(piece));
    if (word !== undefined) faults.push(`"${word}" in "${part}" says nothing: name the thing in the field's own words`);
    return faults.map((message) => ({ file: path, line: 1, rule: 'name', message }));
  });
}

/** At most 400 lines. */
export function fileLengthFaults(file: SourceFile): Fault[] {
  const lines = file.text.trimEnd().split('\n').length;
  return lines > fileLinesMax ? [faultAt(file, 0, 'file-length', `${lines} lines; ${fileLinesMax} at most`)] : [];
}

/** A file opens with a doc comment that says why it exists. */
export function openingFaults(file: SourceFile): Fault[] {
  const body = file.text.replace(/^#!.*\n/, '');
  if (/^\/\*\*[\s\S]{20,}?\*\//.test(body)) return [];
  return [faultAt(file, 0, 'opening', 'the file does not open with a /** comment */ on why it exists and what it leaves out')];
}

function isFunction(node: Node): node is FunctionNode | Extract<Node, { type: 'ArrowFunctionExpression' }> {
  return node.type === 'FunctionDeclaration' || node.type === 'FunctionExpression' || node.type === 'ArrowFunctionExpression';
}

/** `describe(...)` holds tests; its length is the file's. */
function isSuite({ around: [call] }: Placed): boolean {
  return call?.type === 'CallExpression' && call.callee.type === 'Identifier' && /^(describe|suite)$/.test(call.callee.name);
}

/** At most 70 lines. */
export function functionLengthFaults(file: SourceFile): Fault[] {
  return file.nodes.flatMap((placed) => {
    if (!isFunction(placed.node) || isSuite(placed)) return [];
    const lines = file.lineAt(placed.node.end) - file.lineAt(placed.node.start) + 1;
    if (lines <= functionLinesMax) return [];
    return [faultAt(file, placed.node.start, 'function-length', `a function of ${lines} lines; ${functionLinesMax} at most`)];
  });
}

/** What an `export` declares, where that is a function or a class. */
function exportedFunctionName(node: Node): string | null {
  if (node.type !== 'ExportNamedDeclaration') return null;
  const declared = node.declaration;
  if (declared?.type === 'FunctionDeclaration' || declared?.type === 'ClassDeclaration') return declared.id?.name ?? null;
  if (declared?.type !== 'VariableDeclaration') return null;
  const [first] = declared.declarations;
  if (first?.init === undefined || first.init === null || !isFunction(first.init)) return null;
  return first.id.type === 'Identifier' ? first.id.name : null;
}

/** Exported functions and classes of the program carry a doc comment. */
export function docCommentFaults(file: SourceFile): Fault[] {
  if (file.isTest || !file.path.startsWith('src/')) return [];
  return file.nodes.flatMap(({ node }) => {
    const name = exportedFunctionName(node);
    if (name === null || hasDocComment(file, node)) return [];
    return [faultAt(file, node.start, 'doc-comment', `exported ${name} has no doc comment`)];
  });
}

function hasDocComment(file: SourceFile, node: Node): boolean {
  const above = file.comments.findLast((comment) => comment.end <= node.start);
  // The opening comment is the file's, not the function's.
  if (above?.type !== 'Block' || !above.value.startsWith('*') || above === file.comments[0]) return overloadAbove(file, node);
  return file.text.slice(above.end, node.start).trim() === '';
}

/** Only the first of several overload signatures carries the comment. */
function overloadAbove(file: SourceFile, node: Node): boolean {
  const name = exportedFunctionName(node);
  return file.nodes.some(
    ({ node: other }) =>
      other.type === 'ExportNamedDeclaration' &&
      other.declaration?.type === 'TSDeclareFunction' &&
      other.declaration.id?.name === name,
  );
}

/** Unfinished work and pictures have no place in what is committed. */
export function wordFaults(path: string, text: string): Fault[] {
  return text.split('\n').flatMap((line, index) => {
    const faults: Fault[] = [];
    const mark = /\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b/.exec(line)?.[0];
    if (mark !== undefined)
      faults.push({ file: path, line: index + 1, rule: 'unfinished', message: `${mark}: finish it or file an issue` });
    if (/\p{Emoji_Presentation}/u.test(line)) faults.push({ file: path, line: index + 1, rule: 'emoji', message: 'no emojis' });
    return faults;
  });
}
