-- Whether an active account is an admin.
create or replace function identity.has_admin() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from identity.account_role g join identity.account a on a.id = g.account_id
        where g.role = 'admin' and a.status = 'active')
$$;
