-- Fires a schedule, whose row the caller has locked, for a time, once. While the work of an earlier time goes on, it
-- does as the schedule says: where that work is cancelled, it begins when this has ended. One of several times that are
-- made up for waits for its turn. Answers the firing; null if
-- there was one for this time already.
create or replace function pipelines.fire(s pipelines.schedule, due timestamptz, waits boolean) returns uuid
language plpgsql
as $$
declare
    made uuid;
    running pipelines.firing;
    queued boolean;
begin
    insert into pipelines.firing as f (schedule_id, due_at, status) values (s.id, fire.due, 'due')
    on conflict on constraint firing_due do nothing returning f.id into made;
    if made is null then
        return null;
    end if;
    if s.overlap <> 'allow' then
        for running in
            select f.* from pipelines.firing f
            where f.schedule_id = s.id and f.status = 'running' order by f.due_at
        loop
            exit when s.overlap <> 'cancel';
            update pipelines.firing f set reason = 'overlap' where f.id = running.id;
            if running.run_id is not null then
                perform pipelines.lock_run(running.run_id);
                perform pipelines.stop_run(running.run_id,
                    '{"code": "cancelled", "detail": "The next time of its schedule has come."}', false);
            elsif running.conversation_id is not null then
                perform circles.stop_asked(running.conversation_id);
                perform pipelines.end_firing(running.id, 'cancelled', null);
            else
                perform jobs.cancel(running.job_id, null);
            end if;
        end loop;
        if s.overlap = 'cancel' then
            with superseded as (
                update pipelines.firing f
                set status = 'cancelled', reason = 'overlap', settled = true, finished_at = clock_timestamp()
                where f.schedule_id = s.id and f.status = 'due' and f.id <> made returning f.id
            )
            insert into pipelines.ended (what, status) select 'firing', 'cancelled' from superseded;
        end if;
        queued := exists (select from pipelines.firing f
            where f.schedule_id = s.id and f.status = 'due' and f.id <> made);
        if queued or exists (select from pipelines.firing f where f.schedule_id = s.id and f.status = 'running') then
            if not fire.waits and (queued or s.overlap = 'skip') then
                update pipelines.firing f set status = 'skipped', reason = 'overlap', settled = true,
                    finished_at = clock_timestamp() where f.id = made;
                insert into pipelines.ended (what, status) values ('firing', 'skipped');
            end if;
            return made;
        end if;
    end if;
    perform pipelines.act(s, made);
    return made;
end
$$;
