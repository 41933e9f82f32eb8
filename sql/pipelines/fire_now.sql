-- Fires a schedule of an account beside its plan. Answers the firing; null if the account has no such schedule.
create or replace function pipelines.fire_now(account uuid, schedule uuid) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    s pipelines.schedule;
begin
    select o.* into s from pipelines.schedule o where o.id = fire_now.schedule and o.owner_id = account for update;
    if not found then
        return null;
    end if;
    return pipelines.fire(s, date_trunc('milliseconds', clock_timestamp()), false);
end
$$;
grant execute on function pipelines.fire_now to gather_pipelines;
