-- Emits the event of a step whose status changes, whoever changes it. Of the steps in maps only those that wait or are
-- uncertain have events, and what becomes of them then.
create or replace function pipelines.tell_step() returns trigger
language plpgsql
as $$
begin
    perform pipelines.tell('step.' || new.status, r.pipeline_id, r.id,
        jsonb_build_object('run', r.id, 'path', new.path, 'status', new.status))
    from pipelines.run r where r.id = new.run_id;
    return null;
end
$$;
create or replace trigger step_told after update of status on pipelines.step
for each row when (old.status is distinct from new.status and (strpos(new.path, '[') = 0
    or old.status in ('waiting', 'uncertain') or new.status in ('waiting', 'uncertain')))
execute function pipelines.tell_step();
