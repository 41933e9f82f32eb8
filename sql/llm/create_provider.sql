-- Makes a provider. Answers its id.
--   new   {name, protocol, url, team_id, platform, secret, catalogue, drain}
create or replace function llm.create_provider(account uuid, admin boolean, new jsonb) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    team uuid := (new ->> 'team_id')::uuid;
    is_platforms boolean := coalesce((new ->> 'platform')::boolean, false);
    belongs text := case when is_platforms then 'platform' when team is not null then 'team:' || team else 'account:' || account end;
    made uuid;
begin
    perform identity.require_active(account);
    if not llm.manages(account, belongs, admin) then
        perform identity.refuse('provider_manage');
    end if;
    if (select count(*) from llm.provider p where p.owner = belongs) >= 50 then
        perform identity.refuse('provider_count');
    end if;
    insert into llm.provider (account_id, team_id, name, protocol, url, secret_id, catalogue, drain)
    values (case when team is null and not is_platforms then account end, case when not is_platforms then team end,
        new ->> 'name', new ->> 'protocol', new ->> 'url',
        llm.bind_secret(account, new ->> 'secret', new ->> 'protocol', new ->> 'url'), new ->> 'catalogue',
        coalesce((new ->> 'drain')::boolean, false))
    returning id into made;
    return made;
end
$$;
grant execute on function llm.create_provider to gather_llm;
