-- The pipelines, triggers and schedules of an account, and its newest 1,000 runs.
create or replace function pipelines.export_account(account uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'pipelines', coalesce((select jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'created_at', p.created_at,
            'versions', (select jsonb_agg(jsonb_build_object('number', v.number, 'definition', v.definition,
                'created_at', v.created_at) order by v.number) from pipelines.version v where v.pipeline_id = p.id))
            order by p.id)
            from pipelines.pipeline p where p.owner_id = account), '[]'),
        'triggers', coalesce((select jsonb_agg(jsonb_build_object('id', t.id, 'pipeline', t.pipeline_id, 'kind', t.kind,
            'type', t.type, 'verify', t.verify, 'topic', t.topic, 'where', t.condition, 'input', t.input) order by t.id)
            from pipelines.trigger t where t.owner_id = account), '[]'),
        'schedules', coalesce((select jsonb_agg(jsonb_build_object('id', s.id, 'name', s.name, 'times', s.times,
            'action', s.action, 'created_at', s.created_at) order by s.id)
            from pipelines.schedule s where s.owner_id = account), '[]'),
        'runs', coalesce((select jsonb_agg(to_jsonb(r) order by r.id) from (
            select r.id, r.pipeline_id as pipeline, r.version, r.status, r.input, r.result, r.error, r.created_at,
                r.finished_at
            from pipelines.run r where r.account_id = account order by r.id desc limit 1000) r), '[]'))
$$;
