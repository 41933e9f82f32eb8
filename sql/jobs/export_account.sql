-- The newest 1,000 jobs that were done for an account.
create or replace function jobs.export_account(account uuid) returns jsonb
language sql stable
as $$
    select coalesce(jsonb_agg(to_jsonb(j) order by j.id), '[]') from (
        select j.id, j.kind, j.status, j.created_at, j.started_at, j.finished_at from jobs.job j
        where j.owner_id = account order by j.id desc limit 1000) j
$$;
