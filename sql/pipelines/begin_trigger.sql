-- What a job of a trigger has to decide, by its payload: {"trigger", "condition", "input", "event"}; null if there is
-- nothing to do any more.
create or replace function pipelines.begin_trigger(trigger uuid, event jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t pipelines.trigger;
    told jsonb;
begin
    select o.* into t from pipelines.trigger o where o.id = begin_trigger.trigger and o.enabled;
    if not found then
        return null;
    end if;
    told := events.find(begin_trigger.event);
    if told is null then
        return null;
    end if;
    return jsonb_build_object('condition', t.condition, 'input', t.input, 'event', jsonb_build_object('id', told -> 'id',
        'type', told -> 'type', 'topic', told -> 'topic', 'data', told -> 'data', 'created_at', told -> 'created_at'));
end
$$;
grant execute on function pipelines.begin_trigger to gather_pipeline_run;
