/**
 * The official OpenAPI document as a judge of XML. A body is turned into JSON by walking the schema beside it (names, attributes
 * and namespaces as the schema's `xml` hints say), and the JSON is validated by ajv. Elements that the schema does not know are
 * findings too: ajv alone would let them pass.
 *
 * Nothing of src/ is used here: a mistake in our own codec must not be able to hide itself.
 */

import { readFileSync } from 'node:fs';
import { parseXml, XmlElement } from '@rgrove/parse-xml';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly title?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly xml?: { readonly name?: string; readonly prefix?: string; readonly namespace?: string; readonly attribute?: boolean };
}

interface Content {
  readonly schema: Schema;
  readonly examples?: Readonly<Record<string, { readonly value: string }>>;
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly schema: Schema;
}

interface Response {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, Content>>;
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<Record<string, Response>>;
}

type PathItem = Readonly<Record<string, Operation>> & { readonly parameters?: readonly Parameter[] };

interface OpenApi {
  readonly paths: Readonly<Record<string, PathItem>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly responses: Readonly<Record<string, Response>>;
  };
}

/** An operation of the contract and how its path came to it. */
export interface LocatedOperation {
  readonly id: string;
  readonly operation: Operation;
  readonly parameters: readonly Parameter[];
  readonly pathValues: Readonly<Record<string, string>>;
}

export interface Contract {
  /** The operation that a request of this method and path (below the base, without query) is. */
  locate(method: string, path: string): LocatedOperation | null;
  /** What is wrong with a document of that schema; empty when nothing is. */
  findings(schemaName: string, xml: string): readonly string[];
  /** What is wrong with a text as the value of a parameter. */
  parameterFindings(parameter: Parameter, text: string): readonly string[];
  /** Name of the schema of a request body; null when the operation has none. */
  requestSchema(operation: Operation): string | null;
  /** Name of the schema and media type declared for a status; null when it is not declared. */
  responseSchema(operation: Operation, status: number): { readonly mediaType: string; readonly schema: string } | null;
  /** Every example inside the document: where it stands, its schema, its text. */
  embeddedExamples(operationIds: ReadonlySet<string>): readonly { where: string; schema: string; xml: string }[];
}

/** Loads the document that lies beside this file. */
export function loadContract(): Contract {
  // The document is a fixed file; what of it is used is described by the interfaces above.
  const document = JSON.parse(readFileSync(new URL('dict-openapi-2.6.1.json', import.meta.url), 'utf8')) as OpenApi;
  // `xml`, `example` and their like are OpenAPI's own keywords, which strict mode would refuse.
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(document, 'dict');
  const validators = new Map<string, ValidateFunction>();
  const validator = (schemaName: string): ValidateFunction => {
    const known = validators.get(schemaName) ?? ajv.compile({ $ref: `dict#/components/schemas/${schemaName}` });
    validators.set(schemaName, known);
    return known;
  };
  const walker = new SchemaWalker(document);
  return {
    locate: (method, path) => locate(document, method, path),
    findings: (schemaName, xml) => {
      const { value, findings } = walker.convert(schemaName, xml);
      const validate = validator(schemaName);
      if (validate(value)) return findings;
      return [...findings, ...(validate.errors ?? []).map((error) => `${error.instancePath || '/'} ${error.message}`)];
    },
    parameterFindings: (parameter, text) => {
      const validate = ajv.compile(JSON.parse(JSON.stringify(parameter.schema).replaceAll('"#/', '"dict#/')));
      const value = walker.scalar(parameter.schema, text);
      return validate(value) ? [] : (validate.errors ?? []).map((error) => `${parameter.name} ${error.message}`);
    },
    requestSchema: (operation) => schemaNameOf(operation.requestBody?.content['application/xml']?.schema),
    responseSchema: (operation, status) => responseSchema(document, operation, status),
    embeddedExamples: (operationIds) => embeddedExamples(document, operationIds),
  };
}

function locate(document: OpenApi, method: string, path: string): LocatedOperation | null {
  for (const [template, item] of Object.entries(document.paths)) {
    const names = [...template.matchAll(/\{([^}]+)\}/g)].map((match) => match[1] ?? '');
    const pattern = new RegExp(`^${template.replaceAll(/\{[^}]+\}/g, '([^/]+)')}$`);
    const match = pattern.exec(path);
    const operation = item[method.toLowerCase()];
    if (match === null || operation === undefined) continue;
    const pathValues = Object.fromEntries(names.map((name, index) => [name, decodeURIComponent(match[index + 1] ?? '')]));
    return {
      id: operation.operationId,
      operation,
      parameters: [...(item.parameters ?? []), ...(operation.parameters ?? [])],
      pathValues,
    };
  }
  return null;
}

function schemaNameOf(schema: Schema | undefined): string | null {
  return schema?.$ref?.split('/').at(-1) ?? null;
}

function resolvedResponse(document: OpenApi, operation: Operation, status: string): Response | undefined {
  const response = operation.responses[status];
  const name = response?.$ref?.split('/').at(-1);
  return name === undefined ? response : document.components.responses[name];
}

function responseSchema(document: OpenApi, operation: Operation, status: number): { mediaType: string; schema: string } | null {
  const content = Object.entries(resolvedResponse(document, operation, String(status))?.content ?? {})[0];
  const schema = schemaNameOf(content?.[1].schema);
  return content === undefined || schema === null ? null : { mediaType: content[0], schema };
}

function embeddedExamples(
  document: OpenApi,
  ids: ReadonlySet<string>,
): readonly { where: string; schema: string; xml: string }[] {
  const found: { where: string; schema: string; xml: string }[] = [];
  const collect = (where: string, content: Readonly<Record<string, Content>> | undefined): void => {
    for (const { schema, examples } of Object.values(content ?? {})) {
      const name = schemaNameOf(schema);
      for (const [label, { value }] of Object.entries(examples ?? {})) {
        if (name !== null) found.push({ where: `${where} ${label}`, schema: name, xml: value });
      }
    }
  };
  for (const item of Object.values(document.paths)) {
    for (const operation of Object.values(item)) {
      if (!('operationId' in operation) || !ids.has(operation.operationId)) continue;
      collect(`${operation.operationId} request`, operation.requestBody?.content);
      for (const status of Object.keys(operation.responses)) {
        collect(`${operation.operationId} ${status}`, resolvedResponse(document, operation, status)?.content);
      }
    }
  }
  return found;
}

interface Property {
  readonly name: string;
  readonly schema: Schema;
}

/** A schema with its references and compositions put together, as far as a conversion needs to see it. */
interface Merged {
  readonly type: string | undefined;
  readonly properties: readonly Property[];
  readonly items: Schema | undefined;
  readonly elementName: string | undefined;
  readonly namespace: string | undefined;
  readonly attribute: boolean;
}

class SchemaWalker {
  readonly #document: OpenApi;

  constructor(document: OpenApi) {
    this.#document = document;
  }

  convert(schemaName: string, xml: string): { value: unknown; findings: readonly string[] } {
    const findings: string[] = [];
    let root: XmlElement | null;
    try {
      root = parseXml(xml).root;
    } catch (error) {
      return { value: null, findings: [`not well-formed: ${String(error).split('\n')[0]}`] };
    }
    if (root === null) return { value: null, findings: ['no root element'] };
    const merged = this.#merge({ $ref: `#/components/schemas/${schemaName}` });
    const expected = merged.elementName ?? schemaName;
    if (localName(root) !== expected) findings.push(`root is ${root.name}, not ${expected}`);
    const namespace = namespaceOf(root);
    if (namespace !== (merged.namespace ?? ''))
      findings.push(`root is in namespace "${namespace}", not "${merged.namespace ?? ''}"`);
    return { value: this.#object(merged, root, `/${expected}`, findings), findings };
  }

  /** The text of an element or parameter as the JSON that its type calls for; itself where it is not of that form. */
  scalar(schema: Schema, text: string): unknown {
    const { type } = this.#merge(schema);
    if (type === 'integer' && /^-?[0-9]+$/.test(text)) return Number(text);
    if (type === 'boolean' && /^(?:true|false)$/.test(text)) return text === 'true';
    return text;
  }

  #merge(schema: Schema): Merged {
    const name = schema.$ref?.split('/').at(-1);
    const target = name === undefined ? schema : this.#document.components.schemas[name];
    if (target === undefined) throw new Error(`the contract has no schema ${schema.$ref}`);
    const parts = [...(target.allOf ?? []), ...(target.oneOf ?? [])].map((part) => this.#merge(part));
    const own = Object.entries(target.properties ?? {}).map(([property, value]) => ({ name: property, schema: value }));
    return {
      type: target.type ?? parts.find((part) => part.type !== undefined)?.type,
      properties: [...own, ...parts.flatMap((part) => part.properties)],
      items: target.items,
      elementName: target.xml?.name ?? name,
      namespace: target.xml?.namespace,
      attribute: target.xml?.attribute ?? false,
    };
  }

  #object(merged: Merged, element: XmlElement, path: string, findings: string[]): unknown {
    const value: Record<string, unknown> = {};
    const properties = new Map(merged.properties.map((property) => [property.name, this.#merge(property.schema)]));
    for (const [name, text] of Object.entries(element.attributes)) {
      if (name === 'xmlns' || name.startsWith('xmlns:')) continue;
      const property = merged.properties.find((candidate) => candidate.name === name);
      if (property === undefined || properties.get(name)?.attribute !== true) findings.push(`${path} has an attribute ${name}`);
      else value[name] = this.scalar(property.schema, text);
    }
    for (const child of elementsOf(element)) {
      const name = localName(child);
      const property = merged.properties.find((candidate) => candidate.name === name);
      const schema = properties.get(name);
      if (property === undefined || schema === undefined) {
        findings.push(`${path}/${name} is not in the contract`);
        continue;
      }
      this.#namespace(schema, child, `${path}/${name}`, findings);
      if (name in value) findings.push(`${path}/${name} is there more than once`);
      value[name] = this.#value(property.schema, schema, child, `${path}/${name}`, findings);
    }
    return value;
  }

  #namespace(schema: Merged, child: XmlElement, path: string, findings: string[]): void {
    // Without a hint a child stands in its parent's namespace, as in the published problem documents.
    const expected = schema.namespace ?? (child.parent instanceof XmlElement ? namespaceOf(child.parent) : '');
    if (namespaceOf(child) !== expected) findings.push(`${path} is in namespace "${namespaceOf(child)}", not "${expected}"`);
  }

  #value(schema: Schema, merged: Merged, element: XmlElement, path: string, findings: string[]): unknown {
    if (merged.items !== undefined) return this.#array(merged.items, element, path, findings);
    if (merged.properties.length > 0 || merged.type === 'object') return this.#object(merged, element, path, findings);
    if (elementsOf(element).length > 0) findings.push(`${path} holds elements where text belongs`);
    for (const name of Object.keys(element.attributes)) {
      if (name !== 'xmlns' && !name.startsWith('xmlns:')) findings.push(`${path} has an attribute ${name}`);
    }
    return this.scalar(schema, element.text);
  }

  /** Without `wrapped` OpenAPI would repeat the list's own element; every published example wraps, so lists are read wrapped. */
  #array(items: Schema, element: XmlElement, path: string, findings: string[]): unknown[] {
    const merged = this.#merge(items);
    return elementsOf(element).map((child, index) => {
      const itemPath = `${path}/${localName(child)}[${index}]`;
      if (localName(child) !== merged.elementName) findings.push(`${itemPath} is not a ${merged.elementName}`);
      return this.#value(items, merged, child, itemPath, findings);
    });
  }
}

function elementsOf(element: XmlElement): readonly XmlElement[] {
  return element.children.filter((node) => node instanceof XmlElement);
}

function localName(element: XmlElement): string {
  return element.name.split(':').at(-1) ?? '';
}

function namespaceOf(element: XmlElement): string {
  const prefix = element.name.includes(':') ? `xmlns:${element.name.split(':')[0]}` : 'xmlns';
  for (let at: XmlElement | null = element; at !== null; at = at.parent instanceof XmlElement ? at.parent : null) {
    const declared = at.attributes[prefix];
    if (declared !== undefined) return declared;
  }
  return '';
}
