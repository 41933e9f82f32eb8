-- Makes or changes a provider of the platform from the environment. Answers its id. A provider of that name that an
-- administrator made stays as it is.
create or replace function llm.put_platform_provider(name text, protocol text, url text, secret uuid) returns uuid
language plpgsql
as $$
declare
    made uuid;
begin
    insert into llm.provider as p (name, protocol, url, secret_id, catalogue, environment)
    values (put_platform_provider.name, put_platform_provider.protocol, put_platform_provider.url, secret,
        case when put_platform_provider.name in ('openai', 'anthropic', 'deepseek', 'ollama', 'local') then put_platform_provider.name end, true)
    on conflict on constraint provider_name_key do update
    set protocol = excluded.protocol, url = excluded.url, secret_id = excluded.secret_id, drain = false
    where p.environment
    returning p.id into made;
    return coalesce(made, (select p.id from llm.provider p where p.owner = 'platform' and p.name = put_platform_provider.name));
end
$$;
