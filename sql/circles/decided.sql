-- An approval that a turn waits for has ended, somehow: the turn goes on.
create or replace function circles.decided(approval uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    waiting uuid;
begin
    update circles.turn t set status = 'running', waiting_for = null, holder = null,
        -- The rest of the time to decide is not the turn's.
        deadline_at = t.deadline_at - greatest(a.expires_at - clock_timestamp(), interval '0')
    from circles.step s join inbox.approval a on a.id = s.approval_id
    where s.approval_id = decided.approval and s.turn_id = t.id and t.waiting_for = 'approval' returning t.id into waiting;
    if waiting is not null then
        perform circles.tell_turn(waiting, 'started');
        perform circles.enqueue_turn(waiting);
    end if;
end
$$;
