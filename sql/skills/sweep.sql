-- Deletes components that no version has, a day after their upload, as when its publishing failed. Returns
-- their digests; with an object store, its bytes are the sandbox's to delete.
create or replace function skills.sweep() returns setof text
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    delete from skills.component c
    where c.digest in (
        select o.digest from skills.component o
        where o.created_at < now() - interval '1 day'
        and not exists (select from skills.version v where v.digest = o.digest)
        order by o.created_at limit 100)
    -- The row is checked again, since the component may have been uploaded again.
    and c.created_at < now() - interval '1 day'
    returning c.digest
$$;
grant execute on function skills.sweep to gather_sandbox;
