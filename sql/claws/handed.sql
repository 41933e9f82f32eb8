-- The secrets of a claw that may be handed to the program that asks: {owner, secrets: {name: id}}, where the id is null for
-- one that its owner does not see any more. That program is the newest container's, in a session of the key that it has
-- enrolled, while the claw is wanted to run: otherwise {refused}. Null: it is not a claw in a container.
create or replace function claws.handed(claw uuid, session uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case when c.desired = 'running' and exists (
            select from claws.enrolment e join identity.agent g on g.account_id = e.claw_id and g.public_key = e.public_key
            join identity.session s on s.account_id = e.claw_id
            where e.claw_id = c.id and e.generation = c.instance
            and s.id = handed.session and s.method = 'key' and s.created_at >= e.used_at
            and s.revoked_at is null and s.expires_at > now())
        then jsonb_build_object('owner', c.owner_id, 'secrets', (
            select coalesce(jsonb_object_agg(s.key, vault.resolve_secret(s.value, c.owner_id)), '{}')
            from jsonb_each_text(c.secrets) s))
        else '{"refused": true}' end
    from claws.claw c where c.id = handed.claw and c.backend <> 'wasm'
$$;
grant execute on function claws.handed(uuid, uuid) to gather_claws;
