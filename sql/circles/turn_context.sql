-- What an attempt at a turn has to know: who speaks as what, with whom, by which rules, and what it has done.
create or replace function circles.turn_context(turn uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'turn', t.id, 'holder', t.holder, 'channel', t.channel_id, 'circle', t.circle_id, 'cause', t.cause_id,
        'company', circles.company_of(t.id),
        'notebook', (select n.id from circles.notebook n where n.agent_id = t.agent_id and n.channel_id = t.channel_id),
        'is_whisper', t.visible_to is not null, 'tainted', t.tainted, 'recalled', t.recalled,
        'prompt', t.prompt, 'cause_seq', t.cause_seq,
        -- Agents that are asked by agents draw on what these may spend, too.
        'pays', (select jsonb_agg(distinct p) from circles.askers_of(t.id) x,
            unnest(array['account:' || x.agent_id, 'circle:' || x.circle_id]) p where p is not null),
        'agent', circles.account_json(t.agent_id), 'owner', circles.account_json(s.owner_id),
        'scopes', (select coalesce(jsonb_agg(x), '[]')
            from unnest(string_to_array(identity.scopes_of(s.owner_id), ' ')) x where s.scopes is null or x = any (s.scopes)),
        -- A task may allow less than the persona does.
        'persona', p.persona || case when jsonb_typeof(v.task -> 'tools') = 'array' then jsonb_build_object('tools', (
            select coalesce(jsonb_agg(u), '[]') from jsonb_array_elements(coalesce(nullif(p.persona -> 'tools', 'null'), '[]')) u
            where v.task -> 'tools' ? (u ->> 'use'))) else '{}' end,
        'output', nullif(v.task -> 'output', 'null'),
        'limits', circles.limits_of(t),
        'role', (select m.role from circles.member m where m.circle_id = t.circle_id and m.account_id = t.agent_id),
        'mode', c.mode, 'circle_name', c.name, 'purpose', c.purpose,
        'is_own_purpose', coalesce(c.purpose_by = s.owner_id, false),
        'members', (select coalesce(jsonb_agg(circles.account_json(b.account_id) order by b.joined_at, b.account_id), '[]')
            from (select x.* from channels.member x where x.channel_id = t.channel_id
                order by x.joined_at, x.account_id limit 50) b),
        'steps', (select coalesce(jsonb_agg(to_jsonb(x) - 'turn_id' order by x.number), '[]')
            from circles.step x where x.turn_id = t.id))
    from circles.turn t join circles.seat s on s.account_id = t.agent_id
    left join circles.circle c on c.id = t.circle_id
    left join circles.conversation v on v.channel_id = t.channel_id
    cross join lateral (select circles.persona_json(t.persona_id, t.persona_version) as persona) p
    where t.id = turn_context.turn
$$;
