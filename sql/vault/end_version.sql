-- Ends a former value of a secret before its time, and erases it.
create or replace function vault.end_version(actor uuid, reference text, expected text[], number integer, client jsonb)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known vault.secret := vault.managed(actor, reference, expected);
begin
    if exists (select from vault.version v
        where v.secret_id = known.id and v.number = end_version.number and v.state = 'current') then
        perform identity.refuse('version_current');
    end if;
    update vault.version v set state = 'ended', sealed = null, until = least(v.until, now())
    where v.secret_id = known.id and v.number = end_version.number and v.state = 'former';
    if not found then
        perform identity.refuse('secret_unknown');
    end if;
    update vault.secret s set version = s.version + 1, changed_at = now() where s.id = known.id;
    perform audit.record(actor, 'secret.version-ended', known.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('version', end_version.number));
end
$$;
grant execute on function vault.end_version to gather_vault;
