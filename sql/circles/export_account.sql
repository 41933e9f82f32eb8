-- The data of an account here: its personas, agents, circles and conversations, and what its agents thought.
create or replace function circles.export_account(account uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'personas', coalesce((select jsonb_agg(circles.persona_json(v.persona_id, v.number) order by v.persona_id, v.number)
            from circles.persona p join circles.persona_version v on v.persona_id = p.id where p.owner_id = account), '[]'),
        'tool_sources', coalesce((select jsonb_agg(circles.source_json(s) order by s.name)
            from circles.tool_source s where s.owner_id = account), '[]'),
        'proposals', coalesce((select jsonb_agg(jsonb_build_object('id', p.id, 'kind', p.kind, 'text', p.text) order by p.id)
            from circles.proposal p where p.by_id = account), '[]'),
        'votes', coalesce((select jsonb_agg(jsonb_build_object('proposal', v.proposal_id, 'value', v.value,
                'reason', v.reason) order by v.at) from circles.vote v where v.account_id = account), '[]'),
        'agents', coalesce((select jsonb_agg(circles.account_json(s.account_id) || jsonb_build_object(
                'persona', s.persona_id, 'created_at', s.created_at) order by s.account_id)
            from circles.seat s where s.owner_id = account), '[]'),
        'circles', coalesce((select jsonb_agg(jsonb_build_object('id', c.id, 'name', c.name, 'role', m.role,
                'joined_at', m.joined_at) order by c.id)
            from circles.member m join circles.circle c on c.id = m.circle_id where m.account_id = account), '[]'),
        'conversations', coalesce((select jsonb_agg(jsonb_build_object('id', v.channel_id, 'title', v.title) order by v.channel_id)
            from circles.conversation v where v.created_by = account), '[]'),
        'turns', coalesce((select jsonb_agg(circles.turn_told(account, t) || jsonb_build_object('steps', (
                select coalesce(jsonb_agg(circles.step_json(s, account = t.agent_id or circles.may_read_turn(account, t)) order by s.number), '[]')
                from circles.step s where s.turn_id = t.id)) order by t.id)
            from circles.turn t where t.agent_id = account
            or t.agent_id in (select s.account_id from circles.seat s where s.owner_id = account)), '[]'))
$$;
