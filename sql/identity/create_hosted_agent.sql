-- Makes the account of an agent that the platform thinks for, which has no key, and whose owner answers for it. Refuses by
-- the constraints account_name_key, account_name_form, account_name_free and account_active.
create or replace function identity.create_hosted_agent(owner uuid, name text, description text) returns uuid
language plpgsql
as $$
declare
    made uuid;
begin
    perform identity.require_active(owner);
    -- An account that never signed in is forgotten after a day.
    insert into identity.account as a (kind, name, authenticated_at)
    values ('agent', create_hosted_agent.name, now()) returning a.id into made;
    insert into identity.agent (account_id, description, owner_id)
    values (made, left(coalesce(create_hosted_agent.description, ''), 1000), owner);
    perform audit.record(owner, 'account.registered', made::text, true, null, null,
        jsonb_build_object('owner', owner));
    return made;
end
$$;
