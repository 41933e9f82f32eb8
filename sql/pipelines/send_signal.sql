-- Sends a signal to a run of an account, which keeps it until a wait takes it. The same id counts once. Answers `sent`,
-- `finished` or, if the run has kept 1,000 already, `full`; null if there is no such run.
create or replace function pipelines.send_signal(account uuid, run uuid, name text, id text, data jsonb) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    r pipelines.run;
begin
    select o.* into r from pipelines.run o where o.id = send_signal.run and o.account_id = account for update;
    if not found then
        return null;
    elsif exists (select from pipelines.signal s where s.run_id = r.id and s.id = send_signal.id) then
        return 'sent';
    elsif r.finished_at is not null then
        return 'finished';
    elsif (select count(*) from pipelines.signal s where s.run_id = r.id) >= 1000 then
        return 'full';
    end if;
    insert into pipelines.signal (run_id, id, name, data)
    values (r.id, coalesce(send_signal.id, platform.uuid_v7()::text), send_signal.name, send_signal.data);
    perform pipelines.wake(r.id);
    return 'sent';
end
$$;
grant execute on function pipelines.send_signal to gather_pipelines;
