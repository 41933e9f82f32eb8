-- Deletes a schedule of an account with its firings. Work that it has started goes on. Answers whether there was one.
create or replace function pipelines.delete_schedule(account uuid, schedule uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    delete from pipelines.schedule s where s.id = delete_schedule.schedule and s.owner_id = account;
    return found;
end
$$;
grant execute on function pipelines.delete_schedule to gather_pipelines;
