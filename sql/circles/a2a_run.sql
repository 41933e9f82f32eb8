-- The turns of a task, which is named by its first one: of a circle, also those that follow from it, and those that answer
-- what else was sent to the task.
create or replace function circles.a2a_run(kind text, t circles.turn) returns setof circles.turn
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    with recursive run (id, cause_id, reply_id) as (
        select t.id, t.cause_id, t.reply_id
        union
        select x.id, x.cause_id, x.reply_id from run r join circles.turn x
            on x.cause_id = r.cause_id or x.cause_id = r.reply_id or x.task_id = r.id
        where kind = 'circles' and x.channel_id = t.channel_id and x.id > t.id)
    select x.* from run r join circles.turn x on x.id = r.id
$$;
