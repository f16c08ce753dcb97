/**
 * Runs before every npm script and says what to do when the Node that runs it is too old. Plain old JavaScript on purpose: a
 * Node that cannot strip types must still be able to read it. `bin/dict-vsync.js` makes the same check for the command.
 */

const needed = 24;
const found = Number(process.versions.node.split('.')[0]);

if (found < needed) {
  process.stderr.write(
    'dict-vsync needs Node ' +
      needed +
      ' or newer; this is Node ' +
      process.versions.node +
      ' (' +
      process.execPath +
      ').\n' +
      'On Linux (x64, arm64), macOS (x64) and Windows (x64) "npm ci" brings it along: run "npm ci" without --omit=optional,\n' +
      'then "npm run ..." uses it by itself. On other machines install Node ' +
      needed +
      ' from https://nodejs.org first.\n',
  );
  process.exit(1);
}
