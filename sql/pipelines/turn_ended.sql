-- A turn that a run or a schedule waits for has ended: a job looks whether all is said. Not here, since whoever cancels a
-- run locks it before its turns.
create or replace function pipelines.turn_ended() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from circles.conversation v where v.channel_id = new.channel_id and v.task is not null) then
        perform jobs.add('pipeline-run', jsonb_build_object('conversation', new.channel_id), null, null, null, null, 0,
            null, 0);
    end if;
    return null;
end
$$;
create or replace trigger turn_ends_step after update of finished_at on circles.turn
for each row when (new.finished_at is not null and old.finished_at is null)
execute function pipelines.turn_ended();
