-- Locks what changes of steps lead to, before the run is locked that they belong to: runs above it where runs below it are
-- stopped, and where it starts others the account and their pipelines, as whoever suspends the account does.
--   steps  the changes, as `pipelines.write_steps` takes them
create or replace function pipelines.hold_for(run uuid, steps jsonb) returns void
language plpgsql
as $$
begin
    if steps @? '$[*] ? (@.child.type() == "object")' then
        perform from identity.account a
        where a.id = (select r.account_id from pipelines.run r where r.id = hold_for.run) for no key update;
        perform from pipelines.pipeline p where p.id in (
            select pipelines.find_pipeline(r.account_id, s.child ->> 'pipeline')
            from pipelines.run r, jsonb_to_recordset(steps) as s (child jsonb)
            where r.id = hold_for.run and jsonb_typeof(s.child) = 'object')
        order by p.id for update;
    end if;
    if steps @? '$[*] ? (@.status == "cancelled" || @.status == "timed_out")' then
        perform pipelines.lock_run(hold_for.run);
    end if;
end
$$;
