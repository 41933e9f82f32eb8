-- Lets a turn go on: its job stands in the queue of its conversation, so that turns there run in order, unless they may
-- run side by side. In a conversation that is paused, or of an agent that is, it waits.
create or replace function circles.enqueue_turn(turn uuid, run_at timestamptz default null) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
    is_parallel boolean;
begin
    select x.* into t from circles.turn x where x.id = turn;
    if exists (select from circles.conversation v where v.channel_id = t.channel_id and v.status <> 'open')
        or exists (select from circles.seat s where s.account_id = t.agent_id and s.state = 'paused') then
        update circles.turn x set job_id = null where x.id = t.id;
        return;
    end if;
    is_parallel := enqueue_turn.run_at is not null
        or exists (select from circles.circle c where c.id = t.circle_id and c.mode = 'parallel');
    update circles.turn x set job_id = jobs.enqueue('agent-turn', jsonb_build_object('turn', t.id), run_at => enqueue_turn.run_at,
        queue => case when not is_parallel then 'conversation:' || t.channel_id end)
    where x.id = t.id;
end
$$;
