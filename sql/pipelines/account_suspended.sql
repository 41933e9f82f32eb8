-- Pauses the runs of an account that is suspended: they act for it, so they may do nothing now. It can resume them when it
-- is back.
create or replace function pipelines.account_suspended() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    -- From the top down, as everybody locks runs.
    perform pipelines.pause_run(new.id, r.id) from (
        select o.id from pipelines.run o
        where o.account_id = new.id and o.finished_at is null order by o.level, o.id) r;
    return null;
end
$$;
create or replace trigger account_runs_pause after update of status on identity.account
for each row when (new.status = 'suspended' and old.status <> 'suspended')
execute function pipelines.account_suspended();
