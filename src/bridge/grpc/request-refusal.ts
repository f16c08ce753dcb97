/** Requests that the bridge itself refuses, before DICT is asked: which field is wrong and what would be right, or what is not offered here. */

/** A field is wrong. Becomes INVALID_ARGUMENT with a BadRequest detail. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused';
  /** The field's name in the proto, such as `verifiers[0].key_type`. */
  readonly field: string;

  constructor(field: string, complaint: string) {
    super(`${field}: ${complaint}`);
    this.field = field;
  }
}

/** The method has no source in this bridge. Becomes UNIMPLEMENTED. */
export class MethodNotOffered extends Error {
  override readonly name = 'MethodNotOffered';
}
