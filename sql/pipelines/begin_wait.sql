-- What a job has to know that decides about an event for a step: {"definition", "state", "event"}; null if the step does
-- not wait any more.
create or replace function pipelines.begin_wait(run uuid, path text, event jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r pipelines.run;
    told jsonb := events.find(begin_wait.event);
begin
    select o.* into r from pipelines.run o join pipelines.step s on s.run_id = o.id
    where o.id = begin_wait.run and s.path = begin_wait.path and s.status = 'waiting' and s.answer is null;
    if r.id is null or told is null then
        return null;
    end if;
    return jsonb_build_object('state', pipelines.state(r), 'definition', (
            select v.definition from pipelines.version v where v.pipeline_id = r.pipeline_id and v.number = r.version),
        'event', jsonb_build_object('id', told -> 'id', 'type', told -> 'type', 'topic', told -> 'topic',
            'data', told -> 'data', 'created_at', told -> 'created_at'));
end
$$;
grant execute on function pipelines.begin_wait to gather_pipeline_run;
