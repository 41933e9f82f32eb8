-- Signs an agent in by a challenge, which works once. No row if it is refused, which is recorded.
create or replace function identity.sign_in_agent(key bytea, nonce bytea, expires timestamptz, refresh bytea, client jsonb, known_kid text)
returns setof identity.granted
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account uuid;
begin
    delete from identity.used_challenge u where u.nonce in (
        select o.nonce from identity.used_challenge o where o.expires_at < now() - interval '1 minute'
        order by o.expires_at limit 5 for update skip locked);
    select a.id into account from identity.agent g join identity.account a on a.id = g.account_id
    where g.public_key = key and a.status = 'active';
    -- A rotation of the key takes turns with this statement, which then finds the new key.
    perform from identity.account a where a.id = account for no key update;
    if account is not null and not exists (
        select from identity.agent g where g.account_id = account and g.public_key = key) then
        account := null;
    end if;
    -- So does a stop of the claw that it may be, which ends its sessions.
    perform from claws.claw c where c.id = account for share;
    if claws.is_ended(account) then
        account := null;
    end if;
    if account is not null then
        insert into identity.used_challenge (nonce, expires_at) values (sign_in_agent.nonce, expires)
        on conflict do nothing;
        if found then
            return query select g.* from identity.open_session(account, 'key', null, refresh, client, known_kid) g;
            return;
        end if;
    end if;
    perform audit.record(null, 'session.refused', coalesce(account::text, encode(key, 'base64')), false,
        client ->> 'address', client ->> 'request_id', '{"method": "key"}');
end
$$;
grant execute on function identity.sign_in_agent to gather_identity;
