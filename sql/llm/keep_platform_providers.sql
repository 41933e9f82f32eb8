-- Removes the platform's providers whose variables are not set any more, and points the aliases that come from the
-- environment at the first of those that are there; aliases that an administrator made stay as they are.
--   aliases   {name: {provider, model}}
create or replace function llm.keep_platform_providers(names text[], aliases jsonb) returns void
language plpgsql
as $$
declare
    a record;
    made uuid;
begin
    delete from llm.provider p where p.environment and p.name <> all (names);
    delete from llm.alias l where l.environment and not aliases ? l.name;
    for a in select e.key as name, e.value ->> 'provider' as provider, e.value ->> 'model' as model from jsonb_each(aliases) e loop
        insert into llm.alias as l (name, environment) values (a.name, true)
        on conflict on constraint alias_name_key do update set updated_at = now() where l.environment
        returning l.id into made;
        if made is not null then
            delete from llm.target t where t.alias_id = made;
            insert into llm.target (alias_id, place, provider_id, model)
            select made, 1, p.id, a.model from llm.provider p where p.owner = 'platform' and p.name = a.provider;
        end if;
    end loop;
end
$$;
