-- Writes the report of a native process (disk, queue, workers, …) about its state.
create or replace function platform.report_health(component text, status text, detail jsonb) returns void
language sql
as $$
    insert into platform.health as h (component, status, detail, reported_at)
    values ($1, $2, coalesce($3, '{}'), now())
    on conflict (component) do update
    set status = excluded.status, detail = excluded.detail, reported_at = excluded.reported_at
$$;
grant execute on function platform.report_health to gather_sandbox;
grant execute on function platform.report_health to gather_egress;
