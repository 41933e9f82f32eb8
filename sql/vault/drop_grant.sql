-- Takes a grant back, at once.
create or replace function vault.drop_grant(actor uuid, reference text, subject text, client jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known vault.secret := vault.managed(actor, reference, null);
begin
    delete from vault.secret_grant g where g.secret_id = known.id and g.subject = drop_grant.subject;
    if not found then
        perform identity.refuse('secret_unknown');
    end if;
    perform audit.record(actor, 'secret.grant-ended', known.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('subject', drop_grant.subject));
end
$$;
grant execute on function vault.drop_grant to gather_vault;
