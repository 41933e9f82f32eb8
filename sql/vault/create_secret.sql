-- Makes a secret of an account, of a team or of the platform, with its first value, which is sealed to its id.
--   use     {origins, methods, paths, place}, or null
--   client  {address, request_id}
create or replace function vault.create_secret(id uuid, actor uuid, team uuid, platform boolean, name text, kind text,
    note text, use jsonb, expires timestamptz, sealed bytea, client jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made vault.secret;
begin
    perform identity.require_active(actor);
    if team is not null then
        if not exists (select from identity.team_member m where m.team_id = team and m.account_id = actor) then
            perform identity.refuse('secret_team');
        elsif not identity.allows(actor, 'vault:write', team) then
            perform identity.refuse('secret_foreign');
        end if;
    end if;
    insert into vault.secret as s (id, account_id, team_id, name, kind, note, origins, methods, paths, place, expires_at,
        created_by)
    values (create_secret.id, case when team is null and not platform then actor end, team, create_secret.name,
        create_secret.kind, create_secret.note,
        vault.texts(use -> 'origins'), vault.texts(use -> 'methods'), vault.texts(use -> 'paths'), use -> 'place', expires,
        actor)
    returning s.* into made;
    perform vault.check_secret(made);
    insert into vault.version (secret_id, number, sealed, created_by) values (made.id, made.version, create_secret.sealed, actor);
    perform audit.record(actor, 'secret.created', made.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', made.name, 'kind', made.kind));
    perform vault.tell(made, 'secret.created', actor);
    return vault.secret_json(made);
end
$$;
grant execute on function vault.create_secret to gather_vault;
