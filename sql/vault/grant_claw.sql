-- Grants a claw in a container the secrets that it was given and that the account manages, and takes back what was granted
-- and is not among them. A grant that is there stays as it is, with its limits.
create or replace function vault.grant_claw(actor uuid, claw uuid, secrets uuid[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    named text := 'claw:' || grant_claw.claw;
    one uuid;
begin
    for one in
        delete from vault.secret_grant g where g.subject = named and g.secret_id <> all(secrets) returning g.secret_id
    loop
        perform audit.record(actor, 'vault.grant-ended', one::text, true, null, null, jsonb_build_object('subject', named));
    end loop;
    for one in
        insert into vault.secret_grant as g (secret_id, subject, granted_by)
        select s.id, named, actor from vault.secret s where s.id = any(secrets) and vault.manages(actor, s)
        on conflict on constraint secret_grant_pkey do nothing returning g.secret_id
    loop
        perform audit.record(actor, 'vault.granted', one::text, true, null, null, jsonb_build_object('subject', named));
    end loop;
end
$$;
