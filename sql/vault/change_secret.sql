-- Changes all of a secret but its value. What is not among the changes stays; a null `use` or `expires_at` takes it away.
--   changes  {name, note, use, expires_at}
create or replace function vault.change_secret(actor uuid, reference text, expected text[], changes jsonb, client jsonb)
returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    former vault.secret := vault.managed(actor, reference, expected);
    changed vault.secret;
    use jsonb := changes -> 'use';
begin
    if former.state = 'expired' or former.expires_at <= now() then
        perform identity.refuse('secret_expired');
    end if;
    update vault.secret s set
        name = coalesce(changes ->> 'name', s.name),
        note = coalesce(changes ->> 'note', s.note),
        origins = case when changes ? 'use' then vault.texts(use -> 'origins') else s.origins end,
        methods = case when changes ? 'use' then vault.texts(use -> 'methods') else s.methods end,
        paths = case when changes ? 'use' then vault.texts(use -> 'paths') else s.paths end,
        place = case when changes ? 'use' then nullif(use -> 'place', 'null') else s.place end,
        expires_at = case when changes ? 'expires_at' then (changes ->> 'expires_at')::timestamptz else s.expires_at end,
        told_expiring_at = case when changes ? 'expires_at' then null else s.told_expiring_at end,
        version = s.version + 1,
        changed_at = now()
    where s.id = former.id
    returning s.* into changed;
    perform vault.check_secret(changed);
    perform audit.record(actor, 'secret.changed', changed.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('version', changed.version,
            'fields', (select coalesce(jsonb_agg(k order by k), '[]') from jsonb_object_keys(changes) k)));
    return vault.secret_json(changed);
end
$$;
grant execute on function vault.change_secret to gather_vault;
