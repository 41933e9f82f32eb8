-- The event that started a job, as readers are told it, by the `event` of the job's payload. Content that was deleted
-- since is not in it. Null if the event is not kept any more. PL/pgSQL plans the statement over the partitions once for
-- each connection, and SQL would with each call.
create or replace function events.find(event jsonb) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        select events.told(e) from events.event e
        where e.created_at = (find.event ->> 'created_at')::timestamptz
        and e.number = (find.event ->> 'number')::bigint);
end
$$;
