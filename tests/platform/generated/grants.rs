//! The grants and the settings of the database roles, in `tests/fixtures`.

use anyhow::Result;
use sqlx::PgConnection;

/// Lists the privileges of each role on tables and views.
const GRANTS: &str = "
    select r.rolname || ': ' || n.nspname || '.' || c.relname || ' ' ||
           string_agg(p.privilege, ', ' order by p.privilege)
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    cross join pg_roles r
    cross join unnest(array['SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER']) p(privilege)
    where r.rolname like 'gather\\_%' and c.relkind in ('r','v','p','m')
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
      and has_table_privilege(r.oid, c.oid, p.privilege)
    group by r.rolname, n.nspname, c.relname
    order by 1";

/// Lists the SQL functions that each role may call.
const FUNCTIONS: &str = "
    select r.rolname || ': ' || n.nspname || '.' || f.proname
    from pg_proc f join pg_namespace n on n.oid = f.pronamespace cross join pg_roles r
    where r.rolname like 'gather\\_%' and n.nspname not in ('pg_catalog', 'information_schema')
      and has_function_privilege(r.oid, f.oid, 'EXECUTE')
    order by 1";

/// Lists the settings and attributes of the roles, which no grant shows.
const SETTINGS: &str = "
    select r.rolname || ': ' || setting from pg_roles r cross join unnest(r.rolconfig) setting
    where r.rolname like 'gather\\_%'
    union all
    select r.rolname || ': ' || concat_ws(' ', case when r.rolsuper then 'superuser' end,
        case when r.rolinherit then 'inherit' end, case when r.rolcreaterole then 'createrole' end,
        case when r.rolcreatedb then 'createdb' end, case when r.rolreplication then 'replication' end,
        case when r.rolbypassrls then 'bypassrls' end, case when r.rolcanlogin then 'login' end)
    from pg_roles r where r.rolname like 'gather\\_%'
    union all
    select r.rolname || ': member of ' || m.roleid::regrole
    from pg_auth_members m join pg_roles r on r.oid = m.member where r.rolname like 'gather\\_%'
    order by 1";

pub async fn grants(admin: &mut PgConnection) -> Result<String> {
    let mut lines = lines(admin, GRANTS).await?;
    lines += &self::lines(admin, FUNCTIONS).await?;
    Ok(lines)
}

pub async fn role_settings(admin: &mut PgConnection) -> Result<String> {
    lines(admin, SETTINGS).await
}

async fn lines(admin: &mut PgConnection, query: &'static str) -> Result<String> {
    let lines: Vec<String> = sqlx::query_scalar(query).fetch_all(admin).await?;
    Ok(lines.join("\n") + "\n")
}
