/**
 * `npm run interoperation`: installs the gRPC client that is not ours, Google's for Python, for test/bridge-interoperation.test.ts. Outside
 * the repository, once per list of packages; a second run finds it there.
 */

import { installPythonClient } from '../test/support/python-client.ts';

console.log(`the gRPC client for Python stands in ${installPythonClient()}`);
