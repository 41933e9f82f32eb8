-- An approval that a turn waits for has ended, somehow: the turn goes on.
create or replace function circles.decided(approval uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    waiting uuid;
begin
    update circles.turn t set status = 'running', waiting_for = null, holder = null
    from circles.step s
    where s.approval_id = decided.approval and s.turn_id = t.id and t.waiting_for = 'approval' returning t.id into waiting;
    if waiting is not null then
        perform circles.enqueue_turn(waiting);
    end if;
end
$$;
