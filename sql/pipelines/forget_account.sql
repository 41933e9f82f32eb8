-- An account that leaves takes its pipelines and their runs along.
create or replace function pipelines.forget_account(account uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    unfinished uuid;
begin
    for unfinished in
        select r.id from pipelines.run r where r.account_id = account and r.finished_at is null order by r.id
    loop
        perform pipelines.end_run(unfinished, 'cancelled', null, null);
    end loop;
    delete from pipelines.run r where r.account_id = account;
    delete from pipelines.schedule s where s.owner_id = account;
    delete from pipelines.pipeline p where p.owner_id = account;
    delete from pipelines.idempotency_key k where k.owner = account::text;
end
$$;
