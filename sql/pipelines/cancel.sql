-- Cancels a run of an account. What a driver is doing at this moment has no effect on the run any more. Answers
-- `cancelled`, or `finished` if it has ended in another way; null if there is no such run.
create or replace function pipelines.cancel(account uuid, run uuid, reason text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    was text;
begin
    perform pipelines.lock_run(cancel.run);
    select r.status into was from pipelines.run r where r.id = cancel.run and r.account_id = account for update;
    if was is null then
        return null;
    elsif was = 'cancelled' or pipelines.end_run(cancel.run, 'cancelled', null,
        jsonb_build_object('code', 'cancelled', 'detail', coalesce(reason, ''))) then
        return 'cancelled';
    end if;
    return 'finished';
end
$$;
grant execute on function pipelines.cancel to gather_pipelines;
