-- Cancels a run of an account, those that its steps have started first. Answers `cancelled`, or `finished` if it has ended
-- in another way; null if there is no such run.
--   force  at once, whatever it is doing
create or replace function pipelines.cancel(account uuid, run uuid, reason text, force boolean) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    was text;
begin
    perform pipelines.lock_run(cancel.run);
    select r.status into was from pipelines.run r where r.id = cancel.run and r.account_id = account for update;
    if was is null then
        return null;
    elsif pipelines.is_end(was) then
        return case was when 'cancelled' then was else 'finished' end;
    end if;
    perform pipelines.stop_run(cancel.run, jsonb_build_object('code', 'cancelled', 'detail', coalesce(reason, '')),
        cancel.force);
    return 'cancelled';
end
$$;
grant execute on function pipelines.cancel to gather_pipelines;
