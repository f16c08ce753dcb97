/**
 * A source file as the style rules see it: its text, its syntax tree (oxc-parser: TypeScript 7 has no JavaScript API, and knip
 * brings this parser along anyway), its comments and line numbers. No rule is here.
 */

import { type Comment, type Node, parseSync } from 'oxc-parser';

/** One breach of one rule. */
export interface Fault {
  readonly file: string;
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

/** A node together with the nodes around it, nearest first. */
export interface Placed {
  readonly node: Node;
  readonly around: readonly Node[];
}

export interface SourceFile {
  /** Relative to the checked root, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly comments: readonly Comment[];
  readonly nodes: readonly Placed[];
  readonly isTest: boolean;
  /** Line (from 1) of an offset. */
  lineAt(offset: number): number;
}

/** Parses a file; a syntax error is thrown with its place. */
export function sourceFile(path: string, text: string): SourceFile {
  const { program, comments, errors } = parseSync(path, text);
  const error = errors[0];
  if (error !== undefined) throw new SyntaxError(`${path}: ${error.message}`);
  const starts = lineStarts(text);
  return {
    path,
    text,
    comments,
    nodes: [...placedNodes(program)],
    isTest: path.endsWith('.test.ts'),
    lineAt: (offset) => lineOf(starts, offset),
  };
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

function lineOf(starts: readonly number[], offset: number): number {
  const next = starts.findIndex((start) => start > offset);
  return next < 0 ? starts.length : next;
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string' && 'start' in value;
}

function* placedNodes(root: Node): Generator<Placed> {
  const stack: Placed[] = [{ node: root, around: [] }];
  for (let placed = stack.pop(); placed !== undefined; placed = stack.pop()) {
    yield placed;
    const around = [placed.node, ...placed.around];
    for (const child of Object.values(placed.node).flat()) {
      if (isNode(child)) stack.push({ node: child, around });
    }
  }
}

/** Whether a comment stands beside a node: on one of its lines, or right above it or above the statement around it. */
export function hasCommentBeside(file: SourceFile, placed: Placed): boolean {
  const statement = placed.around.find((node) =>
    /Statement$|Declaration$|^(Property|PropertyDefinition|MethodDefinition)$/.test(node.type),
  );
  const first = file.lineAt(placed.node.start);
  const last = file.lineAt(placed.node.end);
  const above = new Set([first - 1, statement === undefined ? -1 : file.lineAt(statement.start) - 1]);
  return file.comments.some((comment) => {
    const from = file.lineAt(comment.start);
    const to = file.lineAt(comment.end);
    return above.has(to) || (from <= last && to >= first);
  });
}

/** The line of a node, as where a fault is reported. */
export function faultAt(file: SourceFile, offset: number, rule: string, message: string): Fault {
  return { file: file.path, line: file.lineAt(offset), rule, message };
}
