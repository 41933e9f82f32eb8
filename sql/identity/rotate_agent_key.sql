-- Replaces an agent's key. The condition has the old key, so that only one of two concurrent rotations succeeds.
create or replace function identity.rotate_agent_key(account uuid, old bytea, new bytea, client jsonb)
returns setof identity.agent_profile
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    since timestamptz;
begin
    perform from identity.account a where a.id = account for update;
    select g.key_since into since from identity.agent g
    where g.account_id = account and g.public_key = old for update;
    if not found then
        return;
    end if;
    update identity.agent g set public_key = new, key_since = now() where g.account_id = account;
    insert into identity.former_key (public_key, account_id, created_at) values (old, account, since);
    perform identity.end_sessions(account);
    perform identity.end_keys(account);
    perform audit.record(account, 'agent.key-rotated', account::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('key', encode(new, 'base64')));
    return query select p.* from identity.agent_profile p where p.id = account;
end
$$;
grant execute on function identity.rotate_agent_key to gather_identity;
