/**
 * Everything that the catalog says about a table but its number and its rows: columns, constraints, indexes, owner, grants, settings, and
 * whatever else hangs on it (views, triggers, publications, statistics). Two tables of the same shape cannot be told apart by
 * whoever uses them.
 */

import { assert } from '../platform/assert.ts';
import type { Sql } from '../platform/postgres/database.ts';

/** The shape of that table as a text, to be compared with another. */
export async function tableShape(sql: Sql, table: string): Promise<string> {
  const { rows } = await sql.query<{ shape: string | null }>(
    `SELECT jsonb_pretty(jsonb_build_object(
       'table', (SELECT jsonb_build_array(c.relpersistence, pg_get_userbyid(c.relowner), c.reltablespace, c.relrowsecurity,
           c.relforcerowsecurity, c.relreplident, c.reloptions, am.amname, obj_description(c.oid, 'pg_class'))
         FROM pg_class c LEFT JOIN pg_am am ON am.oid = c.relam WHERE c.oid = t.oid),
       'grants', (SELECT jsonb_agg(jsonb_build_array(a.grantor, a.grantee, a.privilege_type, a.is_grantable)
           ORDER BY a.grantee, a.privilege_type)
         FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) AS a WHERE c.oid = t.oid),
       'columns', (SELECT jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation,
           a.attstorage, a.attcompression, a.attstattarget, a.attoptions, a.attacl::text, a.attidentity, a.attgenerated,
           pg_get_expr(d.adbin, d.adrelid), col_description(t.oid, a.attnum)) ORDER BY a.attnum)
         FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped),
       'constraints', (SELECT jsonb_agg(jsonb_build_array(k.conname, pg_get_constraintdef(k.oid), k.convalidated, k.condeferrable)
           ORDER BY k.conname)
         FROM pg_constraint k WHERE k.conrelid = t.oid),
       'indexes', (SELECT jsonb_agg(jsonb_build_array(c.relname, pg_get_indexdef(i.indexrelid), i.indisprimary, i.indisvalid,
           i.indisready, i.indisreplident, i.indisclustered, c.reltablespace, c.reloptions, obj_description(c.oid, 'pg_class'))
           ORDER BY c.relname)
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = t.oid),
       'attached', (SELECT jsonb_agg(attached.what ORDER BY attached.what)
         FROM (SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS what
           FROM pg_depend d LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
           WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid <> 'pg_class'::regclass
             AND d.classid <> 'pg_type'::regclass AND k.conrelid IS DISTINCT FROM t.oid) AS attached),
       'inherits', (SELECT jsonb_agg(jsonb_build_array(h.inhrelid::regclass::text, h.inhparent::regclass::text))
         FROM pg_inherits h WHERE t.oid IN (h.inhrelid, h.inhparent)))) AS shape
     FROM (SELECT to_regclass($1)::oid AS oid) AS t
     WHERE t.oid IS NOT NULL`,
    [table],
  );
  const shape = rows[0]?.shape;
  assert(shape != null, `there is a table ${table}`);
  return shape;
}
