-- Pauses a schedule of an account. Answers whether there is one.
create or replace function pipelines.pause_schedule(account uuid, schedule uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update pipelines.schedule s set paused = 'by-hand'
    where s.id = pause_schedule.schedule and s.owner_id = account and s.paused is null;
    if found then
        perform pipelines.tell_schedule('schedule.paused', schedule, '{"reason": "by-hand"}');
        return true;
    end if;
    return exists (select from pipelines.schedule s where s.id = pause_schedule.schedule and s.owner_id = account);
end
$$;
grant execute on function pipelines.pause_schedule to gather_pipelines;
