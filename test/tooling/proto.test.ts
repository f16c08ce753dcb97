/** The check of the gRPC interface fails on what is not documented, on what would break clients, and on code that is not what the proto makes. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { plantedProject, repository } from './planted-project.ts';

const script = join(repository, 'scripts/proto.ts');
const bridge = 'dict/bridge/v1/bridge.proto';
const shared = ['google/rpc/status.proto', 'google/rpc/error_details.proto', 'grpc/health/v1/health.proto'];
const generated = [
  'dict/bridge/v1/bridge_pb.ts',
  'google/rpc/status_pb.ts',
  'google/rpc/error_details_pb.ts',
  'grpc/health/v1/health_pb.ts',
].map((path) => `src/bridge/grpc/generated/${path}`);

const textOf = (path: string): string => readFileSync(join(repository, path), 'utf8');

/** The check over the repository's own interface, with some files as a change would leave them. */
function checked(t: TestContext, changed: Readonly<Record<string, string>>) {
  const paths = [
    ...['proto', 'proto-released'].flatMap((root) => [bridge, ...shared].map((path) => `${root}/${path}`)),
    ...generated,
  ];
  const files = Object.fromEntries(paths.map((path) => [path, textOf(path)]));
  const { status, stdout, stderr } = plantedProject(t, { ...files, ...changed }, ['buf.yaml', 'buf.gen.yaml']).run('node', [
    script,
    'check',
  ]);
  return { status, output: `${stdout}${stderr}` };
}

/** The proto with that text replaced, which has to be there. */
function proto(from: string, to: string): string {
  const text = textOf(`proto/${bridge}`);
  assert.ok(text.includes(from), from);
  return text.replace(from, to);
}

describe('check of the gRPC interface', () => {
  it('passes as it stands', (t) => {
    const { status, output } = checked(t, {});
    assert.match(output, /4 proto files, 4 generated: 0 faults/);
    assert.equal(status, 0, output);
  });

  const field = '  // DICT’s number of this verification.\n'.replace('’', "'");

  it('refuses a field that is not documented', (t) => {
    const { status, output } = checked(t, { [`proto/${bridge}`]: proto(field, '') });
    assert.match(output, /Field "id" should have a non-empty comment/);
    assert.match(output, /proto breaks a rule of buf\.yaml/);
    assert.equal(status, 1);
  });

  it('refuses a field that is gone, another number and another type of what was released', (t) => {
    for (const [from, to, complaint] of [
      [`${field}  string id = 2;\n`, '', /Previously present field "2" with name "id" on message "SyncVerification" was deleted/],
      ['  Result result = 3;', '  Result result = 4;', /Previously present field "3" with name "result"/],
      ['  int64 total_count = 4;', '  int32 total_count = 4;', /"total_count" .*changed type from "int64" to "int32"/],
    ] as const) {
      const { status, output } = checked(t, { [`proto/${bridge}`]: proto(from, to) });
      assert.match(output, complaint);
      assert.match(output, /proto breaks clients of proto-released/);
      assert.equal(status, 1);
    }
  });

  it('accepts a new field, and then asks for the generated code to follow', (t) => {
    const more = proto('  bool has_next_page = 5;\n', '  bool has_next_page = 5;\n  // A new one.\n  string novelty = 6;\n');
    const { status, output } = checked(t, { [`proto/${bridge}`]: more });
    assert.doesNotMatch(output, /breaks/);
    assert.match(output, /bridge_pb\.ts is not what proto makes; "npm run proto" makes it/);
    assert.match(output, /: 1 faults/);
    assert.equal(status, 1);
  });

  it('refuses generated code that was changed by hand, is missing or belongs to nothing', (t) => {
    const [first = '', second = ''] = generated;
    const { status, output } = checked(t, {
      [first]: `${textOf(first)}// by hand\n`,
      [second]: '',
      'src/bridge/grpc/generated/dict/bridge/v1/old_pb.ts': 'export const old = 1;\n',
    });
    for (const name of ['bridge_pb', 'status_pb', 'old_pb'])
      assert.match(output, new RegExp(`${name}\\.ts is not what proto makes`));
    assert.equal(status, 1);
  });
});
