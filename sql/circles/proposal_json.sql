-- The JSON of a proposal.
create or replace function circles.proposal_json(p circles.proposal) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('id', p.id, 'circle', p.circle_id, 'kind', p.kind, 'text', p.text,
        'by', circles.account_json(p.by_id), 'status', p.status, 'quorum', circles.quorum_of(p.circle_id),
        'memory', p.memory_id, 'created_at', p.created_at, 'decided_at', p.decided_at,
        'votes', (select coalesce(jsonb_agg(jsonb_build_object('account', circles.account_json(v.account_id),
                'value', v.value, 'reason', v.reason) order by v.at, v.account_id), '[]')
            from circles.vote v where v.proposal_id = p.id))
$$;
grant execute on function circles.proposal_json(circles.proposal) to gather_circles;
