-- Whether an account may follow `agent:<id>`, what an agent thinks everywhere: itself and its owner.
create or replace function circles.may_read_agent_topic(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from circles.seat s
        where s.account_id = platform.uuid_of(may_read_agent_topic.id) and account in (s.account_id, s.owner_id))
        and exists (select from identity.account a where a.id = account and a.status = 'active')
$$;
