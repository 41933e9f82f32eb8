-- Notes what a trigger has decided about an event, once, and starts its run in the same statement if `input` is given.
--   job     the job that asks, by which the run knows how many starts of work by events lie behind it
--   input   the run's input; null: the event starts nothing, and `status` and `reason` say why
create or replace function pipelines.end_trigger(
    trigger uuid, event uuid, job uuid, status text, reason text, input jsonb
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t pipelines.trigger;
    firing uuid;
    refused text;
    started uuid;
begin
    select o.* into t from pipelines.trigger o where o.id = end_trigger.trigger;
    if not found then
        return;
    end if;
    insert into pipelines.trigger_firing as f (trigger_id, event_id, status, reason)
    values (t.id, end_trigger.event, end_trigger.status, left(end_trigger.reason, 300))
    on conflict on constraint trigger_firing_event do nothing returning f.id into firing;
    if firing is null or end_trigger.input is null then
        return;
    end if;
    begin
        started := (pipelines.start(t.pipeline_id, t.owner_id, null, end_trigger.input, null, 0, null, null, 'event',
            null, null, end_trigger.event, coalesce((select j.depth from jobs.job j where j.id = end_trigger.job), 0))
            ->> 'run')::uuid;
    exception when check_violation then
        get stacked diagnostics refused = constraint_name;
    end;
    update pipelines.trigger_firing f
    set run_id = started, status = case when started is null then 'failed' else f.status end,
        reason = replace(refused, '_', '-')
    where f.id = firing;
end
$$;
grant execute on function pipelines.end_trigger to gather_pipeline_run;
