-- Lets the calling function send a secret to an origin, in a header, whatever the secret's `use` says. It is for secrets
-- of the kind `provider` and for those whose `use` names the origin, unless they are handed to containers. False: for
-- this one it may not be.
create or replace function vault.bind_provider(secret uuid, origin text, header text, format text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into vault.binding (secret_id, component, origin, header, format)
    select s.id, replace(regexp_replace(session_user, '^gather_', ''), '_', '-'), bind_provider.origin, bind_provider.header,
        bind_provider.format
    from vault.secret s
    where s.id = bind_provider.secret and s.state = 'active'
    and (s.kind = 'provider' or bind_provider.origin = any(s.origins) and not s.place ? 'handed')
    on conflict on constraint binding_pkey do update set format = excluded.format;
    return found;
end
$$;
