/** Names a module beside another one for a thread's start: TypeScript in the clone, the compiled file in the package. */

/** The address of `name` beside the module at `moduleUrl`, with that module's own ending. */
export function siblingModule(moduleUrl: string, name: string): URL {
  return new URL(`./${name}${moduleUrl.slice(moduleUrl.lastIndexOf('.'))}`, moduleUrl);
}
