/** Style rules about tests: each asserts something, waits for what it asserts, and is not skipped without a reason. */

import type { Node } from 'oxc-parser';
import { type Fault, faultAt, type Placed, type SourceFile } from './source-file.ts';

type Call = Extract<Node, { type: 'CallExpression' }>;

function calleeOf(file: SourceFile, call: Call): string {
  return file.text.slice(call.callee.start, call.callee.end);
}

function testCalls(file: SourceFile): Call[] {
  return file.nodes.flatMap(({ node }) =>
    node.type === 'CallExpression' && /^(it|test|t\.test)$/.test(calleeOf(file, node)) ? [node] : [],
  );
}

/** Names that assert: node:assert itself, and functions of the tests that say in their name that they do. */
const asserts = /^(assert|expect|check|prove|refuse|must)|^fc\.assert|\.(assert|expect)/i;

/** Every test asserts; a test file has tests. */
export function assertionFaults(file: SourceFile): Fault[] {
  if (!file.isTest) return [];
  const tests = testCalls(file);
  if (tests.length === 0) return [faultAt(file, 0, 'no-test', 'a test file without a test')];
  const assertions = file.nodes.flatMap(({ node }) =>
    node.type === 'CallExpression' && asserts.test(calleeOf(file, node)) ? [node.start] : [],
  );
  return tests.flatMap((test) => {
    const body = test.arguments.find((argument) => /Function/.test(argument.type));
    const holds = body === undefined || assertions.some((start) => start > body.start && start < body.end);
    return holds ? [] : [faultAt(file, test.start, 'no-assertion', `${titleOf(file, test)} asserts nothing`)];
  });
}

function titleOf(file: SourceFile, test: Call): string {
  const [title] = test.arguments;
  return title === undefined ? 'a test' : file.text.slice(title.start, title.end);
}

const promised = /^assert\.(rejects|doesNotReject)$/;

/** An assertion about a promise that nobody waits for passes whatever happens. */
export function unawaitedFaults(file: SourceFile): Fault[] {
  if (!file.isTest) return [];
  return file.nodes.flatMap((placed) => {
    if (placed.node.type !== 'CallExpression' || !promised.test(calleeOf(file, placed.node)) || isWaitedFor(placed)) return [];
    return [faultAt(file, placed.node.start, 'unawaited', 'nobody waits for this assertion')];
  });
}

function isWaitedFor({ around: [parent] }: Placed): boolean {
  return parent !== undefined && parent.type !== 'ExpressionStatement';
}

/** A skipped test says why: `{ skip: 'reason' }`. */
export function skipFaults(file: SourceFile): Fault[] {
  if (!file.isTest) return [];
  return file.nodes.flatMap(({ node }) => {
    if (node.type === 'CallExpression' && /^(it|test|describe)\.(skip|todo|only)$/.test(calleeOf(file, node))) {
      return [faultAt(file, node.start, 'skip', `${calleeOf(file, node)}: a test runs, or says why not with { skip: 'reason' }`)];
    }
    const silent = node.type === 'Property' && node.key.type === 'Identifier' && /^(skip|todo|only)$/.test(node.key.name);
    if (!silent || node.value.type !== 'Literal' || node.value.value !== true) return [];
    return [faultAt(file, node.start, 'skip', 'a test runs, or gives its reason as text')];
  });
}
