-- Keeps a value of the operator's as a secret of the platform, bound to where the function of another schema sends it. The
-- value is sealed to the id and version 1, and replaces the one that was there. Where an administrator's secret has the name
-- already, this one is called by its id too.
create or replace function vault.put_platform_secret(id uuid, name text, sealed bytea, component text, origin text,
    header text, format text) returns void
language plpgsql
as $$
declare
    called text := put_platform_secret.name;
begin
    if exists (select from vault.secret s where s.account_id is null and s.team_id is null and s.state <> 'deleted'
        and s.name = called and s.id <> put_platform_secret.id) then
        called := called || '-' || put_platform_secret.id;
    end if;
    insert into vault.secret as s (id, name, kind, note) values (put_platform_secret.id, called,
        'provider', 'set by the operator')
    on conflict on constraint secret_pkey do update
    set name = excluded.name, state = 'active', deleted_at = null, expires_at = null, version = s.version + 1, changed_at = now();
    insert into vault.version as v (secret_id, number, sealed)
    values (put_platform_secret.id, 1, put_platform_secret.sealed)
    on conflict on constraint version_pkey do update set state = 'current', until = null, sealed = excluded.sealed;
    delete from vault.binding b where b.secret_id = put_platform_secret.id;
    insert into vault.binding (secret_id, component, origin, header, format)
    values (put_platform_secret.id, put_platform_secret.component, put_platform_secret.origin,
        put_platform_secret.header, put_platform_secret.format);
end
$$;
