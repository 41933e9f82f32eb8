-- Makes the account of an agent that the platform thinks for, whose owner answers for it. Only the platform has its key, if it
-- has one. Refuses by
-- the constraints account_name_key, account_name_form, account_name_free and account_active.
create or replace function identity.create_hosted_agent(owner uuid, name text, description text,
    key bytea default null) returns uuid
language plpgsql
as $$
declare
    made uuid;
begin
    perform identity.require_active(owner);
    -- An account that never signed in is forgotten after a day.
    insert into identity.account as a (kind, name, authenticated_at)
    values ('agent', create_hosted_agent.name, now()) returning a.id into made;
    insert into identity.agent (account_id, description, owner_id, public_key)
    values (made, left(coalesce(create_hosted_agent.description, ''), 1000), owner, create_hosted_agent.key);
    perform audit.record(owner, 'account.registered', made::text, true, null, null,
        jsonb_build_object('owner', owner));
    return made;
end
$$;
