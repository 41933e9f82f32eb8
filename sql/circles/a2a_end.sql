-- The turn that says how a task ends: the one that has ended last. Whoever has a program of its own and is passed over says
-- nothing of that.
create or replace function circles.a2a_end(kind text, t circles.turn) returns circles.turn
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select r from circles.a2a_run(kind, t) r
    order by r.persona_id is null and r.reason = 'time' and r.status = 'limited', r.finished_at desc nulls last, r.id desc limit 1
$$;
