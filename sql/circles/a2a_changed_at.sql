-- The time at which a task last changed its state.
create or replace function circles.a2a_changed_at(kind text, t circles.turn) returns timestamptz
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select max(coalesce(r.finished_at, r.started_at, r.created_at)) from circles.a2a_run(kind, t) r
$$;
