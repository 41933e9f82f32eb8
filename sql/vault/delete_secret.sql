-- Deletes a secret: its values are erased, its grants end, and its name is free again. What it was used for stays.
create or replace function vault.delete_secret(actor uuid, reference text, expected text[], client jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known vault.secret := vault.managed(actor, reference, expected);
begin
    update vault.secret s set state = 'deleted', deleted_at = now(), version = s.version + 1, changed_at = now()
    where s.id = known.id;
    update vault.version v set state = 'ended', sealed = null, until = now()
    where v.secret_id = known.id and v.state <> 'ended';
    delete from vault.secret_grant g where g.secret_id = known.id;
    delete from vault.binding b where b.secret_id = known.id;
    perform audit.record(actor, 'secret.deleted', known.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', known.name));
end
$$;
grant execute on function vault.delete_secret to gather_vault;
