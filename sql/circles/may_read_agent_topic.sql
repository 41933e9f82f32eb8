-- Whether an account may follow `agent:<id>`, what an agent thinks or is asked everywhere: itself and its owner.
create or replace function circles.may_read_agent_topic(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from identity.agent g
        where g.account_id = platform.uuid_of(may_read_agent_topic.id) and account in (g.account_id, g.owner_id))
        and exists (select from identity.account a where a.id = account and a.status = 'active')
$$;
