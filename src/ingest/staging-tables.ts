/**
 * The tables in which rows of an import wait: import_entries and import_cids, of the same shape as what they may become, and
 * import_rest for what of it has to be folded. Made and taken away by the program, unlike everything that migrations make, because they
 * may change places with dict_entries and dict_cids. What indexes there are is read from the catalog, so that migrations stay the one place
 * that says it.
 */

import { assert } from '../platform/assert.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import { STAGED_COLUMNS } from './staged-rows.ts';

/** Which table waits for which. */
const replacements = { import_entries: 'dict_entries', import_cids: 'dict_cids' } as const;
type Staging = keyof typeof replacements;
const stagings = ['import_entries', 'import_cids'] as const satisfies readonly Staging[];

/**
 * Makes them anew. Rows that can only be folded need neither log nor checks: they are checked again when they become part of the
 * base, and a server that crashes loses no more than a table to be loaded again.
 */
export async function makeStaging(tx: Transaction, replaces: boolean): Promise<void> {
  await dropStaging(tx);
  const how = replaces ? 'INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION' : '';
  const staging = replaces ? stagings : (['import_entries'] as const);
  for (const name of staging) {
    const table = replacements[name];
    await tx.query(`CREATE ${replaces ? '' : 'UNLOGGED'} TABLE ${name} (LIKE ${table} ${how})`);
    // Its pages are filled as those of the table that it may become: a fillfactor leaves room for the next versions of rows.
    for (const statement of await storageStatements(tx, table, name)) await tx.query(statement);
    // Vacuum has nothing to do in a table that is only appended to, and would be in the way of building indexes.
    await tx.query(`ALTER TABLE ${name} SET (autovacuum_enabled = off)`);
  }
}

/** Takes them away, as far as they are there. */
export async function dropStaging(tx: Transaction): Promise<void> {
  await tx.query('DROP TABLE IF EXISTS import_entries, import_cids, import_rest');
}

/** Puts what was set aside behind the other rows again, where anything was. */
export async function putRestBack(tx: Transaction): Promise<void> {
  const { rows } = await tx.query<{ present: boolean }>(`SELECT to_regclass('import_rest') IS NOT NULL AS present`);
  if (rows[0]?.present !== true) return;
  // The keys are there already: their index would not have them twice.
  for (const { built, stagingName } of await indexesFor(tx, 'import_entries'))
    if (built) await tx.query(`DROP INDEX ${stagingName}`);
  await tx.query(`INSERT INTO import_entries (${STAGED_COLUMNS}) SELECT ${STAGED_COLUMNS} FROM import_rest ORDER BY ctid`);
  await tx.query('DROP TABLE import_rest');
}

/** Pages of import_entries; null where the table is not there. */
export async function stagedPages(sql: Sql): Promise<number | null> {
  const { rows } = await sql.query<{ pages: number | null }>(
    `SELECT (pg_relation_size(to_regclass('import_entries')) / current_setting('block_size')::int)::int8 AS pages`,
  );
  return rows[0]?.pages ?? null;
}

/** Whether nothing was ever stored: tombstones and history count too. */
export async function isBaseEmpty(sql: Sql): Promise<boolean> {
  const { rows } = await sql.query<{ empty: boolean }>(
    `SELECT NOT EXISTS (SELECT FROM dict_entries) AND NOT EXISTS (SELECT FROM dict_cids) AND NOT EXISTS (SELECT FROM dict_vsyncs WHERE seq > 0)
       AS empty`,
  );
  return rows[0]?.empty === true;
}

/** An index of dict_entries or dict_cids, to be built on the table that waits for it. */
export interface StagedIndex {
  readonly staging: Staging;
  readonly name: string;
  readonly stagingName: string;
  /** Of the constraint that the index serves; null where it serves none. */
  readonly constraint: { readonly name: string; readonly kind: 'PRIMARY KEY' | 'UNIQUE' } | null;
  /** The statement that builds it under its staging name. */
  readonly statement: string;
  readonly built: boolean;
}

/** Names stand in quotes where they have to. */
const definitionForm = /^CREATE (UNIQUE )?INDEX (?:"(?:[^"]|"")+"|\S+) ON (?:ONLY )?(?:"(?:[^"]|"")+"|[^\s"])+ (USING .*)$/s;
const nameBytesMax = 63;

/** The indexes that a table has to have, its primary key first. */
export async function indexesFor(sql: Sql, staging: Staging): Promise<StagedIndex[]> {
  const { rows } = await sql.query<{
    name: string;
    staging_name: string;
    definition: string;
    constraint: string | null;
    kind: string | null;
    built: boolean;
  }>(
    `SELECT c.relname AS name, quote_ident('import_' || c.relname) AS staging_name, pg_get_indexdef(i.indexrelid) AS definition,
       k.conname AS constraint, k.contype AS kind, to_regclass(quote_ident('import_' || c.relname)) IS NOT NULL AS built
     FROM pg_index i
     JOIN pg_class c ON c.oid = i.indexrelid
     LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u')
     WHERE i.indrelid = to_regclass($1)
     ORDER BY i.indisprimary DESC, c.relname`,
    [replacements[staging]],
  );
  return rows.map((row) => {
    const [, unique = '', definition] = definitionForm.exec(row.definition) ?? [];
    assert(definition !== undefined, `index ${row.name} is defined as PostgreSQL writes it`);
    assert(Buffer.byteLength(row.staging_name) <= nameBytesMax, `index ${row.name} has room for a prefix`);
    return {
      staging,
      name: row.name,
      stagingName: row.staging_name,
      constraint: row.constraint === null ? null : { name: row.constraint, kind: row.kind === 'p' ? 'PRIMARY KEY' : 'UNIQUE' },
      statement: `CREATE ${unique}INDEX ${row.staging_name} ON ${staging} ${definition}`,
      built: row.built,
    };
  });
}

/**
 * Puts the tables that waited in the place of the empty ones: names, constraints, indexes, owner, grants and settings are then those
 * that were there. The caller holds both tables and compares `tableShape` before and after.
 */
export async function replaceTables(tx: Transaction): Promise<void> {
  for (const staging of stagings) {
    const table = replacements[staging];
    const indexes = await indexesFor(tx, staging);
    const settings = [...(await ownerStatements(tx, table)), ...(await storageStatements(tx, table, table))];
    await tx.query(`DROP TABLE ${table}`);
    await tx.query(`ALTER TABLE ${staging} RENAME TO ${table}`);
    for (const { name, stagingName, constraint } of indexes) {
      await tx.query(
        constraint === null
          ? `ALTER INDEX ${stagingName} RENAME TO "${name.replaceAll('"', '""')}"`
          : `ALTER TABLE ${table} ADD CONSTRAINT "${constraint.name.replaceAll('"', '""')}" ${constraint.kind} USING INDEX ${stagingName}`,
      );
    }
    await tx.query(`ALTER TABLE ${table} RESET (autovacuum_enabled)`);
    for (const statement of settings) await tx.query(statement);
  }
}

/** The statements that give another table of that name the owner and the grants that this one has. */
async function ownerStatements(tx: Transaction, table: string): Promise<string[]> {
  const { rows } = await tx.query<{ statement: string }>(
    `SELECT format('ALTER TABLE %I OWNER TO %I', c.relname, pg_get_userbyid(c.relowner)) AS statement
     FROM pg_class c WHERE c.oid = to_regclass($1)
     UNION ALL
     SELECT format('GRANT %s ON %I TO %s%s', a.privilege_type, c.relname,
       CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
       CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
     FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) AS a WHERE c.oid = to_regclass($1)`,
    [table],
  );
  return rows.map(({ statement }) => statement);
}

/** The statements that give the table `to` the storage settings of another. */
async function storageStatements(tx: Transaction, table: string, to: string): Promise<string[]> {
  const { rows } = await tx.query<{ statement: string }>(
    `SELECT format('ALTER TABLE %I SET (%s)', $2::text, array_to_string(c.reloptions, ', ')) AS statement
     FROM pg_class c WHERE c.oid = to_regclass($1) AND c.reloptions IS NOT NULL`,
    [table, to],
  );
  return rows.map(({ statement }) => statement);
}
