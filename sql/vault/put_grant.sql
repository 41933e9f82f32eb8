-- Grants a secret to a subject, in place of what it was granted before; the count begins anew.
create or replace function vault.put_grant(actor uuid, reference text, subject text, until timestamptz, calls integer,
    client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    known vault.secret := vault.managed(actor, reference, null);
    named uuid := platform.uuid_of(split_part(put_grant.subject, ':', 2));
    given vault.secret_grant;
begin
    if known.state = 'expired' or known.expires_at <= now() then
        perform identity.refuse('secret_expired');
    end if;
    if put_grant.until <= now() then
        perform identity.refuse('grant_until');
    end if;
    -- Of these, it is known whether they exist.
    if (put_grant.subject like 'account:%'
            and not exists (select from identity.account a where a.id = named and a.status <> 'deleted'))
        or (put_grant.subject like 'team:%' and not exists (select from identity.team t where t.id = named)) then
        perform identity.refuse('grant_subject');
    end if;
    if (select count(*) from vault.secret_grant g where g.secret_id = known.id and g.subject <> put_grant.subject) >= 1000 then
        perform identity.refuse('grant_count');
    end if;
    insert into vault.secret_grant as g (secret_id, subject, until, calls, granted_by)
    values (known.id, put_grant.subject, put_grant.until, put_grant.calls, actor)
    on conflict on constraint secret_grant_pkey do update
    set until = excluded.until, calls = excluded.calls, used = 0, granted_by = excluded.granted_by, created_at = now()
    returning g.* into given;
    perform audit.record(actor, 'secret.granted', known.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('subject', given.subject, 'until', given.until, 'calls', given.calls));
    return vault.grant_json(given);
end
$$;
grant execute on function vault.put_grant to gather_vault;
