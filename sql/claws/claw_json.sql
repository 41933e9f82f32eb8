-- The JSON of a claw, as its owner sees it.
create or replace function claws.claw_json(c claws.claw) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'id', c.id, 'name', a.name, 'account', circles.account_json(c.id), 'owner', circles.account_json(c.owner_id),
        'persona', jsonb_build_object('id', s.persona_id, 'name', p.name, 'version', coalesce(s.persona_version, p.version)),
        'template', c.template, 'backend', c.backend, 'desired', c.desired, 'status', c.status, 'reason', c.reason,
        'generation', c.generation, 'resumed', c.resumed, 'public_key', encode(g.public_key, 'base64'),
        'channels', (select coalesce(jsonb_agg(jsonb_build_object('id', h.id, 'name', h.name) order by h.name, h.id), '[]')
            from channels.member b join channels.channel h on h.id = b.channel_id
            where b.account_id = c.id and h.kind = 'channel'),
        'triggers', c.triggers, 'secrets', c.secrets, 'env', c.env, 'scopes', s.scopes,
        'approvers', (select jsonb_agg(circles.account_json(o) order by o) from unnest(s.approvers) o),
        'public', s.public, 'on_busy', coalesce(s.on_busy, 'queue'),
        'budget', (select jsonb_build_object('limit_microusd', b.limit_microusd, 'period', b.period)
            from llm.budget b where b.subject = 'account:' || c.id limit 1),
        'expires_at', c.expires_at, 'on_expiry', c.on_expiry, 'idle_ms', c.idle_ms,
        'last_seen_at', coalesce(c.last_seen_at, (
            select t.created_at from circles.turn t where t.agent_id = c.id order by t.id desc limit 1)),
        'created_at', c.created_at)
    from identity.account a join identity.agent g on g.account_id = a.id
    join circles.seat s on s.account_id = a.id join circles.persona p on p.id = s.persona_id
    where a.id = c.id
$$;
grant execute on function claws.claw_json(claws.claw) to gather_claws;
