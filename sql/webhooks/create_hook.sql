-- Makes a hook of an account. Answers its id.
create or replace function webhooks.create_hook(owner uuid, source text) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made uuid;
begin
    perform identity.require_active(owner);
    if (select count(*) from webhooks.hook h where h.owner_id = owner) >= 50 then
        perform identity.refuse('hook_count');
    end if;
    insert into webhooks.hook (owner_id, source) values (owner, create_hook.source)
    returning id into made;
    return made;
end
$$;
grant execute on function webhooks.create_hook to gather_webhooks;
