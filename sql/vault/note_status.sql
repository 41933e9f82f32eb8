-- Writes the status of the answer beside the use that it belongs to, once.
create or replace function vault.note_status(use uuid, status integer) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update vault.use u set status = note_status.status
    where u.id = note_status.use and u.status is null and u.refused is null
$$;
grant execute on function vault.note_status to gather_egress;
